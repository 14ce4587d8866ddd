"""HICO-DET as a dataset: what lies in the user's folder, to splits. The folder is only read.

Layout, as `hico_20160224_det.tar.gz` unpacks: images/train2015/, images/test2015/, anno_bbox.mat, anno.mat. In place
of anno_bbox.mat, instances_train2015.json and instances_test2015.json (the JSON form) will do. Image-level labels are
those of anno.mat where it is there, else the classes of the visible pairs. HICO-DET has no validation split:
`prepare.val_fraction` of the training images becomes one; 0, as in the paper, leaves it empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.core.errors import DataError, ParamError
from pipeline.core.params import PrepareParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.truth.annotated_images import AnnotatedImages, hold_out, image_labels, manifest_of
from pipeline.truth.datasets.base import PreparedSplit, note_source
from pipeline.truth.ground_truth import check_scored_boxes
from pipeline.truth.ground_truth_file import AnnotatedSplit
from pipeline.truth.hicodet_annotations import HicoDetAnnotations, hicodet_ground_truth, read_hicodet_json
from pipeline.truth.hicodet_mat import Split, read_hicodet_mat, with_image_labels

DATASET = "hicodet"
_FOLDERS = {"train": "train2015", "test": "test2015"}


class HicoDetReader:
    """Reads annotations when built, images in `read`."""

    def __init__(self, params: PrepareParams, *, source: Path, recorded_source: str) -> None:
        if params.val_fraction is None:
            raise ParamError("prepare.val_fraction is null; HICO-DET has no val split of its own, give 0 or a fraction")
        self._params, self._source, self._recorded = params, source, recorded_source
        self.inputs: Sequence[Path] = _annotation_files(source)
        self._train, test = _read(self.inputs, "train"), _read(self.inputs, "test")
        if test.vocabulary != self._train.vocabulary:
            raise DataError(
                f"{self.inputs[0]} and {self.inputs[1]} list different HOI classes; take both from one release"
            )
        self._test = test
        self.vocabulary: Vocabulary = test.vocabulary

    @property
    def num_images(self) -> int:
        """Images of all splits."""
        return len(self._train) + len(self._test)

    def read(self, drawn_images: Path, advance: Callable[[], None]) -> list[PreparedSplit]:
        """Check every image and return train, val and test; only the last two keep boxes."""
        note_source(drawn_images, f"{self._recorded}/images")
        training = _annotated_images(self._train, "train")
        train_rows, val_rows = hold_out(
            len(training), self._params.val_fraction or 0.0, seed=self._params.seed, dataset=DATASET
        )
        splits = {
            "train": training.take(train_rows),
            "val": training.take(val_rows),
            "test": _annotated_images(self._test, "test"),
        }
        for split in ("val", "test"):
            images = splits[split]
            assert images.sizes is not None
            check_scored_boxes(images.truth, images.sizes, images.paths, str(self._source))
        instances = np.bincount(self._train.hoi_id, minlength=self.vocabulary.num_hois).astype(np.int64)
        prepared = []
        for split, images in splits.items():
            manifest = manifest_of(
                images,
                dataset=DATASET,
                split=split,
                source=self._source,
                recorded_source=self._recorded,
                advance=advance,
            )
            annotated = None if split == "train" else AnnotatedSplit(images.truth, instances, self._test.rare)
            prepared.append(PreparedSplit(manifest, annotated))
        return prepared


def _annotation_files(source: Path) -> list[Path]:
    """Files of either form.

    Raises:
        DataError: something is missing; says which archive holds it and where it goes.
    """
    remedy = (
        f"download hico_20160224_det.tar.gz and unpack it so that {source / 'anno_bbox.mat'} and "
        f"{source / 'images' / 'train2015'} exist (prepare.source in params.yaml names the folder)"
    )
    if not source.is_dir():
        raise DataError(f"{source}: folder does not exist; {remedy}")
    official, labels = source / "anno_bbox.mat", source / "anno.mat"
    forms = [source / f"instances_{folder}.json" for folder in _FOLDERS.values()]
    for folder in _FOLDERS.values():
        if not (source / "images" / folder).is_dir():
            raise DataError(f"{source / 'images' / folder}: folder does not exist; {remedy}")
    if official.is_file():
        return [official, labels] if labels.is_file() else [official]
    if all(path.is_file() for path in forms):
        return [*forms, labels] if labels.is_file() else forms
    names = " and ".join(path.name for path in forms)
    raise DataError(f"{source}: holds neither anno_bbox.mat nor {names}; {remedy}")


def _read(files: Sequence[Path], split: Split) -> HicoDetAnnotations:
    if files[0].suffix == ".mat":
        return read_hicodet_mat(files[0], split, *files[1:])
    annotations = read_hicodet_json(files[split == "test"])
    return with_image_labels(annotations, split, *files[2:]) if files[2:] else annotations


def _annotated_images(annotations: HicoDetAnnotations, split: str) -> AnnotatedImages:
    truth = hicodet_ground_truth(annotations)
    return AnnotatedImages(
        paths=tuple(f"{_FOLDERS[split]}/{name}" for name in annotations.filenames),
        sizes=annotations.sizes,
        labels=image_labels(truth, annotations.filenames, annotations.vocabulary.num_hois),
        truth=truth,
    )
