"""V-COCO as a dataset: what lies in the user's folder, to splits. The folder is only read.

Layout: a clone of s-gupta/v-coco, of which data/vcoco/vcoco_*.json, data/splits/vcoco_*.ids and
data/instances_vcoco_all_2014.json (made by its script_pick_annotations.py) are read, with COCO's images under
images/train2014/ and images/val2014/. In place of `data`, instances_vcoco_{trainval,test}.json (the JSON form) will
do, or {trainval,test}_vcoco.json (QPIC's form), here or in annotations/; these forms list pairs only, so that the
V-COCO protocol, which counts people, cannot score them.

Training images: trainval, of which `prepare.val_fraction` is held out as val; null keeps the official train and val.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.truth.annotated_images import AnnotatedImages
from pipeline.truth.datasets.base import (
    Advance,
    PreparedSplit,
    TrainingBoxes,
    community_files,
    hold_out,
    prepare_splits,
    source_folder,
)
from pipeline.truth.params import PrepareParams
from pipeline.truth.vcoco_annotations import VCocoAnnotations, read_vcoco
from pipeline.truth.vcoco_pairs import official_pairs, read_vcoco_community, read_vcoco_pairs, vcoco_vocabulary

DATASET = "vcoco"
_IMAGE_FOLDERS = ("train2014", "val2014")


class VCocoReader:
    """Reads annotations when built, images in `read`."""

    def __init__(self, params: PrepareParams, *, dataset: str, root: Path) -> None:
        self._val_fraction, self._seed = params.val_fraction, params.seed
        self._source = source_folder(params, dataset, root)
        names = ("train", "val", "test") if params.val_fraction is None else ("trainval", "test")
        form, self.inputs = _annotation_files(self._source.path, names)
        self._people = _read_people(self._source.path, names) if form == "official" else {}
        self.notes: Sequence[str] = ()
        if form == "official":
            self._splits = _pairs_of(self._people)
        elif form == "json":
            self._splits = _read_pairs(self._source.path, names)
        else:
            self._splits, left_out = read_vcoco_community(dict(zip(names, self.inputs, strict=True)))
            self._splits = {split: _in_folders(images) for split, images in self._splits.items()}
            self.notes = [f"{self._source.path}: {left_out} rows point past their image's boxes: left out"] * bool(
                left_out
            )
        self.vocabulary: Vocabulary = self._splits["test"].vocabulary

    @property
    def num_images(self) -> int:
        """Number of images of all splits."""
        return sum(len(split) for split in self._splits.values())

    def read(self, drawn_images: Path, advance: Advance) -> list[PreparedSplit]:
        """Check every image and return train, val and test; only the last two keep boxes."""
        splits, people = self._splits, self._people
        training = self._training
        if self._val_fraction is not None:
            train_rows, val_rows = hold_out(len(training), self._val_fraction, seed=self._seed, dataset=DATASET)
            splits = {"train": training.take(train_rows), "val": training.take(val_rows), "test": splits["test"]}
            if people:
                people = {"val": people["trainval"].take_images(val_rows), "test": people["test"]}
        return prepare_splits(splits, training.truth, self._source, DATASET, drawn_images, advance, people=people)

    def training_boxes(self) -> TrainingBoxes:
        """Pairs of the training images that are not held out."""
        train = self._training
        if self._val_fraction is not None:
            train = train.take(hold_out(len(train), self._val_fraction, seed=self._seed, dataset=DATASET)[0])
        return TrainingBoxes(train.image_ids, train.truth)

    @property
    def _training(self) -> AnnotatedImages:
        """Images before val is held out."""
        return self._splits["train" if self._val_fraction is None else "trainval"]


def _annotation_files(
    source: Path, names: Sequence[str]
) -> tuple[Literal["official", "json", "community"], list[Path]]:
    """Which form is there, and its files.

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
        return "json", forms
    community = community_files(source, [f"{split}_vcoco.json" for split in names])
    if all(path.is_file() for path in community) and not data.is_dir():
        return "community", community
    missing = [path for path in official if not path.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: does not exist; clone https://github.com/s-gupta/v-coco to {source} and run its "
            "script_pick_annotations.py on COCO's annotations_trainval2014.zip, which makes "
            f"{official[0].name}; or put {', '.join(path.name for path in forms)} into {source}"
        )
    return "official", official


def _read_people(source: Path, names: Sequence[str]) -> dict[str, VCocoAnnotations]:
    """Annotations of the official form."""
    data = source / "data"
    people: dict[str, VCocoAnnotations] = {}
    for split in names:
        everyone = read_vcoco(data / "vcoco" / f"vcoco_{split}.json", data / "instances_vcoco_all_2014.json")
        people[split] = everyone.take_images(_rows_of(data / "splits" / f"vcoco_{split}.ids", everyone))
    return people


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


def _pairs_of(people: Mapping[str, VCocoAnnotations]) -> dict[str, AnnotatedImages]:
    vocabulary = vcoco_vocabulary(list(people.values()))
    return {split: _in_folders(official_pairs(entry, vocabulary)) for split, entry in people.items()}


def _read_pairs(source: Path, names: Sequence[str]) -> dict[str, AnnotatedImages]:
    """Pairs of the JSON form."""
    splits = {split: _in_folders(read_vcoco_pairs(source / f"instances_vcoco_{split}.json")) for split in names}
    if any(split.vocabulary != splits["test"].vocabulary for split in splits.values()):
        raise DataError(f"{source}: instances_vcoco_*.json list different HOI classes; take all from one release")
    return splits


def _in_folders(images: AnnotatedImages) -> AnnotatedImages:
    """File names as paths under the image folder."""
    return replace(images, filenames=tuple(_image_path(name) for name in images.filenames))


def _image_path(name: str) -> str:
    """Path of "COCO_val2014_000000000294.jpg" under the image root."""
    folder = next((folder for folder in _IMAGE_FOLDERS if f"_{folder}_" in name), None)
    if folder is None:
        raise DataError(f'V-COCO: image "{name}" is of neither train2014 nor val2014; expected COCO 2014 file names')
    return f"{folder}/{name}"


READER = VCocoReader
