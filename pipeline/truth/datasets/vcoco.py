"""V-COCO as a dataset: what lies in the user's folder, to splits. The folder is only read.

Layout: a clone of s-gupta/v-coco, of which data/vcoco/vcoco_*.json, data/splits/vcoco_*.ids and
data/instances_vcoco_all_2014.json (made by its script_pick_annotations.py) are read, with COCO's images under
images/train2014/ and images/val2014/. In place of `data`, instances_vcoco_{trainval,test}.json (the JSON form) will
do; that form lists pairs only, so that the V-COCO protocol, which counts people, cannot score it.

Training images: trainval, of which `prepare.val_fraction` is held out as val; null keeps the official train and val.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.params import PrepareParams
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.truth.annotated_images import AnnotatedImages, hold_out, image_labels, manifest_of
from pipeline.truth.datasets.base import PreparedSplit, note_source
from pipeline.truth.ground_truth import check_scored_boxes
from pipeline.truth.ground_truth_file import AnnotatedSplit
from pipeline.truth.vcoco_annotations import VCocoAnnotations, read_vcoco
from pipeline.truth.vcoco_pairs import (
    VCocoPairs,
    official_pairs,
    read_vcoco_pairs,
    vcoco_ground_truth,
    vcoco_vocabulary,
)

DATASET = "vcoco"
_IMAGE_FOLDERS = ("train2014", "val2014")


@dataclass(frozen=True)
class _Split:
    """Pairs of a split, with the people where the files are official."""

    pairs: VCocoPairs
    people: VCocoAnnotations | None


class VCocoReader:
    """Reads annotations when built, images in `read`."""

    def __init__(self, params: PrepareParams, *, source: Path, recorded_source: str) -> None:
        self._params, self._source, self._recorded = params, source, recorded_source
        names = ("train", "val", "test") if params.val_fraction is None else ("trainval", "test")
        official, self.inputs = _annotation_files(source, names)
        self._splits = _read_official(source, names) if official else _read_pairs(source, names)
        self.vocabulary: Vocabulary = self._splits["test"].pairs.vocabulary

    @property
    def num_images(self) -> int:
        """Images of all splits."""
        return sum(len(split.pairs) for split in self._splits.values())

    def read(self, drawn_images: Path, advance: Callable[[], None]) -> list[PreparedSplit]:
        """Check every image and return train, val and test; only the last two keep boxes."""
        note_source(drawn_images, f"{self._recorded}/images")
        training = self._splits["train" if self._params.val_fraction is None else "trainval"].pairs
        instances = np.bincount(training.hoi_id, minlength=self.vocabulary.num_hois).astype(np.int64)
        prepared = []
        for split, (images, people) in self._divided().items():
            manifest = manifest_of(
                images,
                dataset=DATASET,
                split=split,
                source=self._source,
                recorded_source=self._recorded,
                advance=advance,
            )
            if split == "train":
                prepared.append(PreparedSplit(manifest, None))
            else:
                check_scored_boxes(images.truth, manifest.image_sizes, images.paths, str(self._source))
                prepared.append(PreparedSplit(manifest, AnnotatedSplit(images.truth, instances), people))
        return prepared

    def _divided(self) -> dict[str, tuple[AnnotatedImages, VCocoAnnotations | None]]:
        """Images and people of train, val and test; val is drawn from trainval where params say so."""
        parts = {name: (_annotated_images(split.pairs), split.people) for name, split in self._splits.items()}
        if self._params.val_fraction is None:
            return parts
        images, people = parts["trainval"]
        train_rows, val_rows = hold_out(len(images), self._params.val_fraction, seed=self._params.seed, dataset=DATASET)
        held_out = None if people is None else people.take_images(val_rows)
        return {
            "train": (images.take(train_rows), None),
            "val": (images.take(val_rows), held_out),
            "test": parts["test"],
        }


def _annotation_files(source: Path, names: Sequence[str]) -> tuple[bool, list[Path]]:
    """Whether the official form is there, and the files.

    Raises:
        DataError: something is missing; says what to download and where it goes.
    """
    images = source / "images"
    for folder in _IMAGE_FOLDERS:
        if not (images / folder).is_dir():
            raise DataError(
                f"{images / folder}: folder does not exist; download COCO's {folder}.zip and unpack it in {images} "
                "(prepare.source in params.yaml names the folder above)"
            )
    data = source / "data"
    official = [data / "instances_vcoco_all_2014.json"]
    official += [data / "vcoco" / f"vcoco_{split}.json" for split in names]
    official += [data / "splits" / f"vcoco_{split}.ids" for split in names]
    forms = [source / f"instances_vcoco_{split}.json" for split in names]
    if all(path.is_file() for path in forms) and not data.is_dir():
        return False, forms
    missing = [path for path in official if not path.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: does not exist; clone https://github.com/s-gupta/v-coco to {source} and run its "
            "script_pick_annotations.py on COCO's annotations_trainval2014.zip, which makes "
            f"{official[0].name}; or put {', '.join(path.name for path in forms)} into {source}"
        )
    return True, official


def _read_official(source: Path, names: Sequence[str]) -> dict[str, _Split]:
    data = source / "data"
    people: dict[str, VCocoAnnotations] = {}
    for split in names:
        path = data / "vcoco" / f"vcoco_{split}.json"
        everyone = read_vcoco(path, data / "instances_vcoco_all_2014.json")
        people[split] = everyone.take_images(_rows_of(data / "splits" / f"vcoco_{split}.ids", everyone))
    vocabulary = vcoco_vocabulary(list(people.values()))
    return {split: _Split(official_pairs(entry, vocabulary), entry) for split, entry in people.items()}


def _rows_of(path: Path, annotations: VCocoAnnotations) -> IntArray:
    """Rows of the images that an .ids file lists, ascending."""
    try:
        ids = np.array([int(word) for word in path.read_text().split()], dtype=np.int64)
    except ValueError as error:
        raise DataError(f"{path}: not a list of COCO image ids ({error}); clone v-coco again") from None
    absent = ids[~np.isin(ids, annotations.image_ids)]
    if len(absent):
        raise DataError(
            f"{path}: image {absent[0]} is not in instances_vcoco_all_2014.json (nor {len(absent) - 1} more); "
            "make that file again with script_pick_annotations.py"
        )
    return np.flatnonzero(np.isin(annotations.image_ids, ids))


def _read_pairs(source: Path, names: Sequence[str]) -> dict[str, _Split]:
    splits = {split: _Split(read_vcoco_pairs(source / f"instances_vcoco_{split}.json"), None) for split in names}
    if any(split.pairs.vocabulary != splits["test"].pairs.vocabulary for split in splits.values()):
        raise DataError(f"{source}: instances_vcoco_*.json list different HOI classes; take all from one release")
    return splits


def _annotated_images(pairs: VCocoPairs) -> AnnotatedImages:
    truth = vcoco_ground_truth(pairs)
    return AnnotatedImages(
        paths=tuple(_image_path(name) for name in pairs.filenames),
        sizes=pairs.sizes,
        labels=image_labels(truth, pairs.filenames, pairs.vocabulary.num_hois),
        truth=truth,
    )


def _image_path(name: str) -> str:
    """Path of "COCO_val2014_000000000294.jpg" under the image root."""
    folder = next((folder for folder in _IMAGE_FOLDERS if f"_{folder}_" in name), None)
    if folder is None:
        raise DataError(f'V-COCO: image "{name}" is of neither train2014 nor val2014; expected COCO 2014 file names')
    return f"{folder}/{name}"
