"""Detections of others as flat arrays: COCO-results JSON, and a folder with one JSON file per image.

- COCO results: a list of {"image_id", "category_id", "bbox": [x, y, w, h], "score"}.
- Per image: `<image>.json` with {"boxes": [[x1, y1, x2, y2], ...], "scores": [...], "labels": [...]}, in the folder or
  below it as the images are.

This file checks the form, value by value; whether boxes and labels make sense is checked by `importers`.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import shortened
from pipeline.data.split import SplitManifest
from pipeline.detection.image_lookup import ImageLookup
from pipeline.store.json_file import list_entries, load_json

_LARGEST = 1e30  # a number that float32 holds; pixels, scores and labels are far below


@dataclass(frozen=True)
class FlatDetections:
    """Detections of a split: image rows int64 [N], boxes float64 [N, 4] xyxy, scores float64 [N], labels int64 [N]."""

    image: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]


def read_detections(source: Path, manifest: SplitManifest) -> FlatDetections:
    """Read a COCO-results file, or a folder of per-image files.

    Raises:
        DataError: unreadable, of another form, or of another split's images; names the entry or the file.
    """
    lookup = ImageLookup(manifest)
    return _read_folder(source, lookup) if source.is_dir() else _read_coco_results(source, lookup)


def _read_coco_results(path: Path, lookup: ImageLookup) -> FlatDetections:
    found = _Growing()
    for number, entry in enumerate(list_entries(path, "COCO results", "image_id, category_id, bbox, score")):
        try:
            found.rows.append(lookup.row(_image_id(_field(entry, "image_id"))))
            x, y, width, height = _box(_field(entry, "bbox"), "bbox", "[x, y, w, h]")
            found.boxes.extend((x, y, x + width, y + height))
            found.scores.append(_number(_field(entry, "score"), "score"))
            found.labels.append(_whole(_field(entry, "category_id"), "category_id"))
        except _FormError as error:
            raise DataError(
                f"{path}: not COCO results, entry {number} {error}; "
                "expected image_id, category_id, bbox [x, y, w, h], score"
            ) from None
        except DataError as error:
            raise DataError(f"{path}: entry {number}: {error}") from None
    return found.flat()


def _read_folder(folder: Path, lookup: ImageLookup) -> FlatDetections:
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise DataError(f"{folder}: holds no .json file; expected one per image, named after it")
    whole = _Growing()
    file_of: dict[int, Path] = {}
    for file in files:
        try:
            row = lookup.row(file.relative_to(folder).as_posix().removesuffix(".json"))
        except DataError as error:
            raise DataError(f"{file}: {error}") from None
        if row in file_of:
            raise DataError(f"{file}: of the same image as {file_of[row]}; expected one file per image")
        file_of[row] = file
        boxes, scores, labels = _read_image(file)
        whole.rows.extend([row] * len(boxes))
        whole.boxes.extend(value for box in boxes for value in box)
        whole.scores.extend(scores)
        whole.labels.extend(labels)
    return whole.flat()


def _read_image(file: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """Boxes, scores and labels of one image."""
    data = load_json(file)
    try:
        boxes = [_box(box, "a box", "[x1, y1, x2, y2]") for box in _list(data, "boxes")]
        scores = [_number(score, "a score") for score in _list(data, "scores")]
        labels = [_whole(label, "a label") for label in _list(data, "labels")]
    except _FormError as error:
        raise DataError(f"{file}: not a detection file, it {error}; expected boxes, scores, labels") from None
    if not len(boxes) == len(scores) == len(labels):
        raise DataError(f"{file}: {len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels; expected equal")
    return boxes, scores, labels


class _Growing:
    """Columns of detections that are read one by one, as numbers and not as objects."""

    def __init__(self) -> None:
        self.rows, self.labels = array("q"), array("q")
        self.boxes, self.scores = array("d"), array("d")

    def flat(self) -> FlatDetections:
        """The columns so far."""
        rows, labels = (np.array(column, np.int64) for column in (self.rows, self.labels))
        boxes, scores = (np.array(column, np.float64) for column in (self.boxes, self.scores))
        return FlatDetections(rows, boxes.reshape(-1, 4), scores, labels)


class _FormError(Exception):
    """What is wrong with an entry, as the end of a sentence that names it."""


def _field(entry: Any, name: str) -> Any:
    if not isinstance(entry, dict):
        raise _FormError(f"is {shortened(entry)}")
    if name not in entry:
        raise _FormError(f"has no {name}")
    return entry[name]


def _list(entry: Any, name: str) -> list[Any]:
    values = _field(entry, name)
    if not isinstance(values, list):
        raise _FormError(f"has {name} {shortened(values)}, no list")
    return values


def _is_number(value: Any) -> bool:
    """Whether it is a finite number of JSON; true and false are none, although they are ints in Python."""
    return type(value) in (int, float) and abs(value) < _LARGEST


def _number(value: Any, what: str) -> float:
    if not _is_number(value):
        raise _FormError(f"has {what} {shortened(value)}, no finite number")
    return float(value)


def _whole(value: Any, what: str) -> int:
    if not _is_number(value) or value != int(value) or abs(value) >= 1 << 63:
        raise _FormError(f"has {what} {shortened(value)}, no whole number")
    return int(value)


def _box(value: Any, what: str, form: str) -> list[float]:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise _FormError(f"has {what} {shortened(value)}, not four finite numbers {form}")
    return value


def _image_id(value: Any) -> str | int:
    return value if isinstance(value, str) else _whole(value, "image_id")
