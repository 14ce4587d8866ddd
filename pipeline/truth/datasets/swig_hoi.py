"""SWIG-HOI as a dataset: what lies in the user's folder, to splits. The folder is only read.

Layout, as promting_hoi has it: images_512/, annotations/swig_{train,val,test}_1000.json (val may be called dev), and
that repository's swig_v1_categories.py, which lists the classes. `prepare.val_fraction` null: these splits; else
swig_trainval_1000.json, of which that fraction is held out as val.

HOI classes are the evaluated ones; pairs of others are left out. The object of a pair is its box's `category_id`, as in
that repository's evaluator; `aux_category_id`, names that other annotators gave, is not read. Boxes are continuous
pixels from 0, cut to the image as its loader does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.truth.annotated_images import AnnotatedImages, known_ids, truth_of_pairs
from pipeline.truth.community_form import SWIG_KEYS, CommunityImages, read_community_form
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
from pipeline.truth.swig_classes import SwigClasses, read_swig_classes

DATASET, IMAGES, CLASSES = "swig_hoi", "images_512", "swig_v1_categories.py"


class SwigHoiReader:
    """Reads annotations when built, images in `read`."""

    def __init__(self, params: PrepareParams, *, dataset: str, root: Path) -> None:
        self._val_fraction, self._seed = params.val_fraction, params.seed
        self._source = source_folder(params, dataset, root)
        names = ("train", "val", "test") if params.val_fraction is None else ("trainval", "test")
        self.inputs: Sequence[Path] = _files(self._source.path, names)
        classes, *annotations = self.inputs
        self._classes = read_swig_classes(classes)
        self.vocabulary: Vocabulary = self._classes.vocabulary
        self._splits: dict[str, AnnotatedImages] = {}
        left_out = 0
        for split, path in zip(names, annotations, strict=True):
            self._splits[split], unknown = _images(path, self._classes)
            left_out += unknown
        self.notes: Sequence[str] = [f"{self._source.path}: {left_out} pairs of classes that do not count are left out"]

    @property
    def num_images(self) -> int:
        """Number of images of all splits."""
        return sum(len(split) for split in self._splits.values())

    def read(self, drawn_images: Path, advance: Advance) -> list[PreparedSplit]:
        """Check every image and return train, val and test; only the last two keep boxes."""
        return prepare_splits(
            self._held_out(),
            self._training.truth,
            self._source,
            DATASET,
            drawn_images,
            advance,
            groups=self._classes.groups,
            image_folder=IMAGES,
        )

    def training_boxes(self) -> TrainingBoxes:
        """Pairs of the training images that are not held out."""
        train = self._held_out()["train"]
        return TrainingBoxes(train.image_ids, train.truth)

    @property
    def _training(self) -> AnnotatedImages:
        """Images before val is held out."""
        return self._splits["train" if self._val_fraction is None else "trainval"]

    def _held_out(self) -> dict[str, AnnotatedImages]:
        """Train, val and test."""
        if self._val_fraction is None:
            return self._splits
        training = self._training
        train_rows, val_rows = hold_out(len(training), self._val_fraction, seed=self._seed, dataset=DATASET)
        return {"train": training.take(train_rows), "val": training.take(val_rows), "test": self._splits["test"]}


def _files(source: Path, names: Sequence[str]) -> list[Path]:
    """The file of classes, then the annotations of each split.

    Raises:
        DataError: one is missing; says where it comes from.
    """
    if not (source / IMAGES).is_dir():
        raise DataError(
            f"{source / IMAGES}: folder does not exist; download SWIG-HOI's images_512.zip and unpack it in {source} "
            "(prepare.source in params.yaml names the folder above)"
        )
    files = [source / CLASSES]
    for name in names:
        spelled = [f"swig_{part}_1000.json" for part in ((name, "dev") if name == "val" else (name,))]
        found = [path for part in spelled for path in community_files(source, [part])]
        files.append(next((path for path in found if path.is_file()), found[0]))
    for path in files:
        if not path.is_file():
            raise DataError(
                f"{path}: does not exist; {CLASSES} is in github.com/scwangdyd/promting_hoi (datasets/), whose README "
                f"links to the annotations; put it into {source}, and them into {source / 'annotations'}"
            )
    return files


def _images(path: Path, classes: SwigClasses) -> tuple[AnnotatedImages, int]:
    """Images of a split, and the number of their pairs that are left out."""
    found = read_community_form(path, SWIG_KEYS)
    actions, categories = (range(count) for count in classes.table.shape)
    verbs = known_ids(found.verb_ids, "action", actions, path)
    objects = known_ids(found.object_categories, "category", categories, path)
    hoi_ids, sizes = classes.table[verbs, objects], _sizes(found, path)
    kept = hoi_ids >= 0
    rows = found.image_index[kept]
    limits = np.tile(sizes[rows], 2)
    human_boxes, object_boxes = (np.clip(boxes[kept], 0, limits) for boxes in (found.human_boxes, found.object_boxes))
    truth = truth_of_pairs(rows, hoi_ids[kept], human_boxes, object_boxes, len(found))
    left_out = found.left_out + int((~kept).sum())
    return AnnotatedImages(classes.vocabulary, found.filenames, sizes, truth), left_out


def _sizes(found: CommunityImages, path: Path) -> IntArray:
    """Width and height, int64 [I, 2]."""
    try:
        sizes = [(int(entry["width"]), int(entry["height"])) for entry in found.entries]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: an image has no width and height ({error!r}); download the file again") from None
    return np.array(sizes, np.int64).reshape(-1, 2)


READER = SwigHoiReader
