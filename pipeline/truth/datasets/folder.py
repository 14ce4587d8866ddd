"""A user's own dataset: a folder of images and labels.csv, which says what each image shows.

Images lie in the folder or below it, and each has a row. They are read upright (EXIF), where they are; the folder is
only read. The vocabulary is what the CSV names, with the person; names of objects are those that the detector uses.
Without a column `split`, all images are trained on; `prepare.val_fraction` of the training images becomes val.

Where `prepare.labels` is captions or clip, training images need no row: those without one are trained on. classes.csv
(verb,object) then names the HOI classes; labels.csv may be missing beside it.

Boxes are optional: annotations.csv or annotations.json (`own_annotations.py`). Val and test are scored where it names
one of their images, and then has to name every labeled one; likewise train, for training with boxes. Without labels.csv
it lists the images, and the classes of its pairs are their labels.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.core.label_rows import LabelRows
from pipeline.core.names import SPLITS
from pipeline.core.types import ImageLabels, ImageRecord, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.image_files import as_utf8, image_names
from pipeline.data.label_csv import LabeledImage, read_class_csv, read_label_csv
from pipeline.data.split import ANNOTATED, SplitManifest
from pipeline.truth.datasets.base import (
    Advance,
    PreparedSplit,
    TrainingBoxes,
    hold_out,
    image_records,
    note_source,
    source_folder,
)
from pipeline.truth.ground_truth import GroundTruth, check_scored_boxes
from pipeline.truth.ground_truth_file import AnnotatedSplit
from pipeline.truth.own_annotations import CSV, HUMAN, BoxedImage, NamedPair, annotation_files, read_own_annotations
from pipeline.truth.params import PrepareParams

LABELS, CLASSES = "labels.csv", "classes.csv"


class FolderReader:
    """Reads the CSV when built, images in `read`."""

    def __init__(self, params: PrepareParams, *, dataset: str, root: Path) -> None:
        self._params, self._dataset, self._source = params, dataset, source_folder(params, dataset, root)
        folder = self._source.path
        if not folder.is_dir():
            raise DataError(
                f"{folder}: folder does not exist; put your images and {LABELS} there "
                f"({dataset}.prepare.source in params.yaml names it)"
            )
        csv_file, self._annotated = folder / LABELS, params.labels == ANNOTATED
        classes, boxes = folder / CLASSES, annotation_files(folder)
        listed = not self._annotated and classes.exists()
        labels = [csv_file] if csv_file.exists() or not (listed or boxes) else []
        self.inputs: Sequence[Path] = (*([classes] if listed else []), *labels, *boxes)
        self._boxed = read_own_annotations(boxes) if boxes else {}
        labeled = read_label_csv(csv_file) if labels else _labels_of(self._boxed)
        self._list, self._boxes_file = (labels or boxes or [csv_file])[0], boxes[0] if boxes else None
        _check_files(folder, self._list, labeled, complete=self._annotated)
        self._images = [labeled[path] for path in sorted(labeled)]
        pairs = read_class_csv(classes) if listed else {pair for image in self._images for pair in image.pairs}
        self.vocabulary: Vocabulary = vocabulary_of_pairs(pairs)
        if not self.vocabulary.num_hois:
            raise DataError(f"{self.inputs[0]}: no row has a verb and an object; there is nothing to learn")
        _check_classes(self._images, self.vocabulary, classes, self._list)
        _check_boxed(self._boxed, labeled, self.vocabulary)

    @property
    def num_images(self) -> int:
        """Number of images of all splits."""
        return len(self._images)

    def read(self, drawn_images: Path, advance: Advance) -> list[PreparedSplit]:
        """Open every image and return train, val and test; the last two with boxes where these are annotated."""
        note_source(drawn_images, self._source.recorded)
        splits = self._split_images()
        found = image_records(
            self._source.path,
            [(image.path, image.path) for image in self._images],
            advance,
            upright=True,
            where=[_line(self._list, image) if image.line else self._source.recorded for image in self._images],
        )
        records = {record.path: record for record in found}
        return [self._prepared(split, splits[split], records) for split in SPLITS]

    def training_boxes(self) -> TrainingBoxes:
        """Pairs of the training images that are not held out; raises DataError where not all are annotated."""
        images = self._split_images()["train"]
        truth = self._truth(images, "train")
        if truth is None:
            raise DataError(
                f"{self._boxes_file or self._source.path / CSV}: no boxes of training images, which training with "
                "boxes needs; add them, or keep train.supervision: labels"
            )
        return TrainingBoxes(tuple(image.path for image in images), truth)

    def _prepared(self, split: str, images: list[LabeledImage], records: dict[str, ImageRecord]) -> PreparedSplit:
        """A split, with the boxes of val or test."""
        manifest = self._manifest(split, images, records)
        truth = None if split == "train" else self._truth(images, split)
        if truth is None:
            return PreparedSplit(manifest, None)
        check_scored_boxes(truth, manifest.image_sizes, manifest.image_ids, str(self._boxes_file))
        return PreparedSplit(manifest, AnnotatedSplit(truth, self._train_instances()))

    def _truth(self, images: list[LabeledImage], split: str) -> GroundTruth | None:
        """Annotated pairs of a split; None where no image is annotated.

        Raises:
            DataError: some labeled images are annotated and others are not.
        """
        if not any(image.path in self._boxed for image in images):
            return None
        absent = [image for image in images if image.path not in self._boxed and self._hoi_ids(image).size]
        if absent:
            raise DataError(
                f'{self._boxes_file}: has boxes of some {split} images, but none of "{absent[0].path}", which '
                f"{_line(self._list, absent[0])} labels ({len(absent)} labeled images are so); annotate all or none of "
                "the split"
            )
        pairs = [
            (row, self._hoi_id(pair.verb, pair.object), pair.boxes)
            for row, image in enumerate(images)
            for pair in self._pairs(image)
        ]
        boxes = np.array([boxes for _, _, boxes in pairs], np.float32).reshape(-1, 2, 4)
        shown = [self._hoi_ids(image) for image in images]
        return GroundTruth(
            image_index=np.array([row for row, _, _ in pairs], np.int32),
            hoi_id=np.array([hoi_id for _, hoi_id, _ in pairs], np.int16),
            human_boxes=boxes[:, 0],
            object_boxes=boxes[:, 1],
            num_images=len(images),
            image_hois=LabelRows.of_lists(shown, self.vocabulary.num_hois),
        )

    def _train_instances(self) -> IntArray:
        """Annotated pairs of each class before val is held out, int64 [H]; without any, images labeled with it."""
        training = [image for image in self._images if image.split in (None, "train")]
        found = [self._hoi_id(pair.verb, pair.object) for image in training for pair in self._pairs(image)]
        if not found:
            found = [hoi_id for image in training for hoi_id in self._hoi_ids(image).tolist()]
        return np.bincount(np.array(found, np.int64), minlength=self.vocabulary.num_hois).astype(np.int64)

    def _pairs(self, image: LabeledImage) -> list[NamedPair]:
        """Annotated pairs of an image."""
        return self._boxed[image.path].pairs if image.path in self._boxed else []

    def _split_images(self) -> dict[str, list[LabeledImage]]:
        splits: dict[str, list[LabeledImage]] = {name: [] for name in SPLITS}
        for image in self._images:
            splits[image.split or "train"].append(image)
        fraction = self._params.val_fraction or 0.0
        if fraction and splits["val"]:
            raise ParamError(
                f"{self._dataset}.prepare.val_fraction is {fraction}, but {self._list} names val images; set it to null"
            )
        training = splits["train"]
        kept, held_out = hold_out(len(training), fraction, seed=self._params.seed, dataset=self._dataset)
        splits["train"] = [training[row] for row in kept]
        splits["val"] += [training[row] for row in held_out]
        if self._annotated and not any(pair != ("", "") for image in splits["train"] for pair in image.pairs):
            raise DataError(f"{self._list}: no training image has an interaction; give some the split train")
        return splits

    def _manifest(self, split: str, images: list[LabeledImage], records: dict[str, ImageRecord]) -> SplitManifest:
        return SplitManifest(
            dataset=self._dataset,
            split=split,
            image_root=self._source.recorded,
            images=tuple(records[image.path] for image in images),
            labels=tuple(ImageLabels(image.path, self._hoi_ids(image)) for image in images),
            upright=True,
        )

    def _hoi_ids(self, image: LabeledImage) -> np.ndarray:
        return np.array(sorted(self._hoi_id(verb, name) for verb, name in image.pairs if verb), np.int64)

    def _hoi_id(self, verb: str, name: str) -> int:
        return self._hoi_ids_by_name[verb, name]

    @cached_property
    def _hoi_ids_by_name(self) -> dict[tuple[str, str], int]:
        verbs, objects = self.vocabulary.verbs, self.vocabulary.objects
        return {(verbs[verb], objects[thing]): row for row, (verb, thing) in enumerate(self.vocabulary.hoi_classes)}


def vocabulary_of_pairs(pairs: Iterable[tuple[str, str]]) -> Vocabulary:
    """Return the vocabulary of (verb, object) names; empty pairs are left out, order and repetition do not matter."""
    named = sorted({(name, verb) for verb, name in pairs if verb})
    objects = (HUMAN, *sorted({name for name, _ in named} - {HUMAN}))
    verbs = tuple(sorted({verb for _, verb in named}))
    classes = tuple((verbs.index(verb), objects.index(name)) for name, verb in named)
    return Vocabulary(objects=objects, verbs=verbs, hoi_classes=classes, human=HUMAN)


def _labels_of(boxed: Mapping[str, BoxedImage]) -> dict[str, LabeledImage]:
    """Images with the classes of their pairs as labels."""
    return {
        path: LabeledImage(
            path, image.line, image.split, {(pair.verb, pair.object): image.line for pair in image.pairs}
        )
        for path, image in boxed.items()
    }


def _line(path: Path, image: LabeledImage) -> str:
    """Where a file names an image."""
    return f"{path} line {image.line}" if image.line else str(path)


def _check_classes(images: Iterable[LabeledImage], vocabulary: Vocabulary, path: Path, listing: Path) -> None:
    """Refuse labels of classes that the list of classes lacks."""
    known = set(vocabulary.hoi_names)
    for image in images:
        for (verb, name), line in image.pairs.items():
            if verb and f"{verb} {name}" not in known:
                place = f"{listing.name} line {line}" if line else listing.name
                raise DataError(
                    f'{path}: has no class "{verb},{name}"{did_you_mean(f"{verb} {name}", known)}, which {place} '
                    "names; add it, or mend that line"
                )


def _check_boxed(boxed: Mapping[str, BoxedImage], labeled: Mapping[str, LabeledImage], vocabulary: Vocabulary) -> None:
    """Refuse annotated images that are not listed, splits that differ, and pairs of classes that an image lacks."""
    known = set(vocabulary.hoi_names)
    for path, image in boxed.items():
        if path not in labeled:
            raise DataError(
                f'{image.where}: image "{path}" has no line in {LABELS}{did_you_mean(path, labeled)}; add one'
            )
        listed = labeled[path]
        if image.split not in (None, listed.split):
            raise DataError(
                f'{image.where}: "{path}" is in split {image.split}, {LABELS} says {listed.split or "none"}; keep one'
            )
        shown = {f"{verb} {name}" for verb, name in listed.pairs} if listed.pairs else known
        for pair in image.pairs:
            name = f"{pair.verb} {pair.object}"
            if name not in shown:
                raise DataError(
                    f'{pair.where}: "{path}" has boxes of "{name}"{did_you_mean(name, shown)}, which {LABELS} or '
                    f"{CLASSES} does not name for it; add it there, or mend the annotation"
                )


def _check_files(source: Path, csv_file: Path, labeled: dict[str, LabeledImage], *, complete: bool) -> None:
    """Refuse rows without an image and, where labels are `complete`, images without a row; else add these as empty."""
    names = image_names(source)
    found = set(names)
    for image in labeled.values():
        if image.path not in found and not os.path.lexists(source / image.path):  # a broken link is found later
            elsewhere = [name for name in names if Path(name).name == Path(image.path).name]
            raise DataError(
                f'{_line(csv_file, image)}: image "{image.path}" is not in {source}'
                f"{did_you_mean(image.path, elsewhere or names)}; expected a path relative to that folder"
            )
    del found
    names.sort(key=lambda name: name.split("/"))
    for name in names:
        if name != as_utf8(name):
            raise DataError(f'{source}: the file name "{as_utf8(name)}" is not UTF-8; rename it')
    unlabeled = [name for name in names if name not in labeled]
    if not complete:
        labeled |= {name: LabeledImage(name, 0, None) for name in unlabeled}
    elif unlabeled:
        raise DataError(
            f'{csv_file}: no line for {len(unlabeled)} images of the folder, first "{unlabeled[0]}"; label them, '
            f'add a line "{unlabeled[0]},," for one without interaction, or move them elsewhere'
        )


READER = FolderReader
