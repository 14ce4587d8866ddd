"""HICO-DET as a dataset: what lies in the user's folder, to splits. The folder is only read.

Layout, as `hico_20160224_det.tar.gz` unpacks: images/train2015/, images/test2015/, anno_bbox.mat, anno.mat. In place
of anno_bbox.mat, instances_train2015.json and instances_test2015.json (the JSON form) will do, or trainval_hico.json
and test_hico.json (PPDM's form, whose pairs are not quite the official ones), here or in annotations/. Image-level
labels are those of anno.mat where it is there, else the classes of the visible pairs. HICO-DET has no validation split:
`prepare.val_fraction` of the training images becomes one; 0, as in the paper, leaves it empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError, ParamError
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
from pipeline.truth.hicodet_annotations import read_hicodet_json
from pipeline.truth.hicodet_community import NOTE, official_classes, read_hicodet_community
from pipeline.truth.hicodet_mat import Split, read_hicodet_mat, with_image_labels
from pipeline.truth.params import PrepareParams

DATASET = "hicodet"
_FOLDERS = {"train": "train2015", "test": "test2015"}
_LABELS = "anno.mat"
_COMMUNITY = ("trainval_hico.json", "test_hico.json")


class HicoDetReader:
    """Reads annotations when built, images in `read`."""

    def __init__(self, params: PrepareParams, *, dataset: str, root: Path) -> None:
        if params.val_fraction is None:
            raise ParamError("prepare.val_fraction is null; HICO-DET has no val split of its own, give 0 or a fraction")
        self._val_fraction, self._seed = params.val_fraction, params.seed
        self._source = source_folder(params, dataset, root)
        self.inputs: Sequence[Path] = _annotation_files(self._source.path)
        self._train, _, left_out = _read(self.inputs, "train")
        self._test, self._rare, also_left_out = _read(self.inputs, "test")
        self.notes: Sequence[str] = ()
        if self.inputs[0].name in _COMMUNITY:
            self.notes = [
                f"{self._source.path}: {NOTE} ({left_out + also_left_out} rows that are no pair are left out)"
            ]
        self.vocabulary: Vocabulary = self._test.vocabulary
        if self._train.vocabulary != self.vocabulary:
            raise DataError(
                f"{self.inputs[0]} and {self.inputs[1]} list different HOI classes; take both from one release"
            )

    @property
    def num_images(self) -> int:
        """Number of images of all splits."""
        return len(self._train) + len(self._test)

    def read(self, drawn_images: Path, advance: Advance) -> list[PreparedSplit]:
        """Check every image and return train, val and test; only the last two keep boxes."""
        train, val = self._held_out()
        splits = {"train": train, "val": val, "test": self._test}
        return prepare_splits(splits, self._train.truth, self._source, DATASET, drawn_images, advance, rare=self._rare)

    def training_boxes(self) -> TrainingBoxes:
        """Pairs of the training images that are not held out."""
        train, _ = self._held_out()
        return TrainingBoxes(train.image_ids, train.truth)

    def _held_out(self) -> tuple[AnnotatedImages, AnnotatedImages]:
        """Train and val."""
        train_rows, val_rows = hold_out(len(self._train), self._val_fraction, seed=self._seed, dataset=DATASET)
        return self._train.take(train_rows), self._train.take(val_rows)


def _annotation_files(source: Path) -> list[Path]:
    """Files of one of the forms: the official one, the JSON form, PPDM's.

    Raises:
        DataError: something is missing; says which archive holds it and where it goes.
    """
    remedy = (
        f"download hico_20160224_det.tar.gz and unpack it so that {source / 'anno_bbox.mat'} and "
        f"{source / 'images' / 'train2015'} exist (prepare.source in params.yaml names the folder)"
    )
    if not source.is_dir():
        raise DataError(f"{source}: folder does not exist; {remedy}")
    official, labels = source / "anno_bbox.mat", source / _LABELS
    json_form = [source / f"instances_{folder}.json" for folder in _FOLDERS.values()]
    for folder in _FOLDERS.values():
        if not (source / "images" / folder).is_dir():
            raise DataError(f"{source / 'images' / folder}: folder does not exist; {remedy}")
    for forms in ([official], json_form, community_files(source, _COMMUNITY)):
        if all(path.is_file() for path in forms):
            return [*forms, labels] if labels.is_file() else forms
    names = ", ".join(" and ".join(pair) for pair in ([path.name for path in json_form], _COMMUNITY))
    raise DataError(f"{source}: holds neither anno_bbox.mat nor {names}; {remedy}")


def _read(files: Sequence[Path], split: Split) -> tuple[AnnotatedImages, NDArray[np.bool_], int]:
    """Annotations of a split, rare classes bool [H], and rows left out; file names are paths under the image folder."""
    forms, labels = ([path for path in files if (path.name == _LABELS) == is_labels] for is_labels in (False, True))
    annotations: AnnotatedImages
    left_out = 0
    if forms[0].name in _COMMUNITY:
        annotations, left_out = read_hicodet_community(forms[split == "test"])
        _, rare = official_classes()
    else:
        is_mat = forms[0].suffix == ".mat"
        official = read_hicodet_mat(forms[0], split) if is_mat else read_hicodet_json(forms[split == "test"])
        annotations, rare = official, official.rare
    if labels:
        annotations = with_image_labels(annotations, split, labels[0])
    names = tuple(f"{_FOLDERS[split]}/{name}" for name in annotations.filenames)
    return replace(annotations, filenames=names), rare, left_out


READER = HicoDetReader
