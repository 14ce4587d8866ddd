"""A user's own dataset: a folder of images and labels.csv, which says what each image shows. There are no boxes.

Images lie in the folder or below it, and each has a row. They are read upright (EXIF), where they are; the folder is
only read. The vocabulary is what the CSV names, with the person; names of objects are those that the detector uses.
Without a column `split`, all images are trained on; `prepare.val_fraction` of the training images becomes val.

Where `prepare.labels` is captions or clip, training images need no row: those without one are trained on. classes.csv
(verb,object) then names the HOI classes; labels.csv may be missing beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.core.names import SPLITS
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.image_files import as_utf8, images_in
from pipeline.data.label_csv import LabeledImage, read_class_csv, read_label_csv
from pipeline.data.split import ANNOTATED, SplitManifest
from pipeline.truth.datasets.base import (
    Advance,
    PreparedSplit,
    hold_out,
    image_records,
    note_source,
    source_folder,
)
from pipeline.truth.params import PrepareParams

LABELS, CLASSES = "labels.csv", "classes.csv"
HUMAN = "person"


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
        self._csv, self._annotated = folder / LABELS, params.labels == ANNOTATED
        classes = folder / CLASSES
        listed = not self._annotated and classes.exists()
        labels = [self._csv] if self._csv.exists() or not listed else []
        self.inputs: Sequence[Path] = (*([classes] if listed else []), *labels)
        labeled = read_label_csv(self._csv) if labels else {}
        _check_files(folder, self._csv, labeled, complete=self._annotated)
        self._images = [labeled[path] for path in sorted(labeled)]
        pairs = read_class_csv(classes) if listed else [pair for image in self._images for pair in image.pairs]
        self.vocabulary: Vocabulary = vocabulary_of_pairs(pairs)
        if not self.vocabulary.num_hois:
            raise DataError(f"{self.inputs[0]}: no row has a verb and an object; there is nothing to learn")
        _check_classes(self._images, self.vocabulary, classes)

    @property
    def num_images(self) -> int:
        """Number of images of all splits."""
        return len(self._images)

    def read(self, drawn_images: Path, advance: Advance) -> list[PreparedSplit]:
        """Open every image and return train, val and test, none of them with boxes."""
        note_source(drawn_images, self._source.recorded)
        splits = self._split_images()
        found = image_records(
            self._source.path,
            [(image.path, image.path) for image in self._images],
            advance,
            upright=True,
            where=[f"{self._csv} line {image.line}" if image.line else self._source.recorded for image in self._images],
        )
        records = {record.path: record for record in found}
        return [PreparedSplit(self._manifest(split, splits[split], records), None) for split in SPLITS]

    def _split_images(self) -> dict[str, list[LabeledImage]]:
        splits: dict[str, list[LabeledImage]] = {name: [] for name in SPLITS}
        for image in self._images:
            splits[image.split or "train"].append(image)
        fraction = self._params.val_fraction or 0.0
        if fraction and splits["val"]:
            raise ParamError(
                f"{self._dataset}.prepare.val_fraction is {fraction}, but {self._csv} names val images; set it to null"
            )
        training = splits["train"]
        kept, held_out = hold_out(len(training), fraction, seed=self._params.seed, dataset=self._dataset)
        splits["train"] = [training[row] for row in kept]
        splits["val"] += [training[row] for row in held_out]
        if self._annotated and not any(pair != ("", "") for image in splits["train"] for pair in image.pairs):
            raise DataError(f"{self._csv}: no training image has an interaction; give some the split train")
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
        verbs, objects = self.vocabulary.verbs, self.vocabulary.objects
        table = self.vocabulary.hoi_id_table
        ids = [table[verbs.index(verb), objects.index(name)] for verb, name in image.pairs if verb]
        return np.array(sorted(ids), np.int64)


def vocabulary_of_pairs(pairs: Iterable[tuple[str, str]]) -> Vocabulary:
    """Return the vocabulary of (verb, object) names; empty pairs are left out, order and repetition do not matter."""
    named = sorted({(name, verb) for verb, name in pairs if verb})
    objects = (HUMAN, *sorted({name for name, _ in named} - {HUMAN}))
    verbs = tuple(sorted({verb for _, verb in named}))
    classes = tuple((verbs.index(verb), objects.index(name)) for name, verb in named)
    return Vocabulary(objects=objects, verbs=verbs, hoi_classes=classes, human=HUMAN)


def _check_classes(images: Iterable[LabeledImage], vocabulary: Vocabulary, path: Path) -> None:
    """Refuse labels of classes that the list of classes lacks."""
    known = set(vocabulary.hoi_names)
    for image in images:
        for (verb, name), line in image.pairs.items():
            if verb and f"{verb} {name}" not in known:
                raise DataError(
                    f'{path}: has no class "{verb},{name}"{did_you_mean(f"{verb} {name}", known)}, which {LABELS} line '
                    f"{line} names; add it, or mend that line"
                )


def _check_files(source: Path, csv_file: Path, labeled: dict[str, LabeledImage], *, complete: bool) -> None:
    """Refuse rows without an image and, where labels are `complete`, images without a row; else add these as empty."""
    names = [path.relative_to(source).as_posix() for path in images_in(source, below=True)]
    for image in labeled.values():
        if not os.path.lexists(source / image.path):  # a broken link is reported where the image is opened
            elsewhere = [name for name in names if Path(name).name == Path(image.path).name]
            raise DataError(
                f'{csv_file} line {image.line}: image "{image.path}" is not in {source}'
                f"{did_you_mean(image.path, elsewhere or names)}; expected a path relative to that folder"
            )
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
