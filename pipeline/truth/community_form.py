"""The JSON form in which the field passes HOI annotations on: HOI-A, PPDM, QPIC, CDN, GEN-VLKT, and SWIG-HOI.

A list of images, each with its boxes and its pairs (SWIG-HOI: other keys, `SWIG_KEYS`):

    {"file_name": "a.jpg", "annotations": [{"bbox": [10, 10, 100, 200], "category_id": 1}, ...],
     "hoi_annotation": [{"subject_id": 0, "object_id": 1, "category_id": 77}, ...]}

`subject_id` and `object_id` are 0-based rows of the image's boxes; an `object_id` of -1 is an action without an object,
which makes no pair. Ids may be written as text, as in published files ("5\\n"). What category ids mean and where pixels
count from differs by dataset, so that its reader decides. `hoi_category_id` follows from the other ids: not read.

Published files have rows that point past the list of boxes. QPIC leaves such images out of training and GEN-VLKT takes
them for images without pairs; here the row alone is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import IntArray
from pipeline.store.json_file import load_json, looks_like

_NO_OBJECT = -1


@dataclass(frozen=True)
class Keys:
    """Keys of the two lists of an image, and of a pair's verb."""

    boxes: str = "annotations"
    pairs: str = "hoi_annotation"
    verb: str = "category_id"


KEYS = Keys()
SWIG_KEYS = Keys("box_annotations", "hoi_annotations", "action_id")


@dataclass(frozen=True)
class CommunityImages:
    """Images with their pairs, ids and boxes as in the file.

    I images, G pairs: `entries` [I] are the images' JSON objects, `filenames` [I]; by pair, in the file's order,
    `image_index`, `verb_ids`, `human_categories`, `object_categories` int64 [G], `human_boxes` and `object_boxes`
    float64 [G, 4]. `left_out`: rows that point past the list of boxes.
    """

    entries: list[Mapping[str, Any]]
    filenames: tuple[str, ...]
    image_index: IntArray
    verb_ids: IntArray
    human_categories: IntArray
    object_categories: IntArray
    human_boxes: NDArray[np.float64]
    object_boxes: NDArray[np.float64]
    left_out: int

    def __len__(self) -> int:
        return len(self.filenames)


def is_community_form(data: Any, keys: Keys = KEYS) -> bool:
    """Whether a JSON value looks like this form."""
    return isinstance(data, list) and bool(data) and all(
        isinstance(entry, dict) and "file_name" in entry and keys.boxes in entry for entry in data[:1]
    )  # fmt: skip


def read_community_form(path: Path, keys: Keys = KEYS) -> CommunityImages:
    """Read a file.

    Raises:
        DataError: missing, not JSON, of another form, or an id or box that is none; names image and row.
    """
    return images_of(load_json(path), path, keys)


def images_of(data: Any, path: Path, keys: Keys = KEYS) -> CommunityImages:
    """Read the content of a file; raises as `read_community_form`."""
    if not is_community_form(data, keys):
        raise DataError(
            f"{path}: {looks_like(data)}; expected a list of images with file_name, {keys.boxes} and {keys.pairs}"
        )
    filenames: list[str] = []
    ids: list[tuple[int, int, int, int]] = []
    boxes: list[tuple[list[float], list[float]]] = []
    left_out = 0
    for row, entry in enumerate(data):
        where = f"{path}: image {row}"
        try:
            name = entry["file_name"]
            where = f'{path}: image "{name}"'
            listed = [(_whole(box["category_id"]), box["bbox"]) for box in entry[keys.boxes]]
            pairs = [
                (_whole(pair["subject_id"]), _whole(pair["object_id"]), _whole(pair[keys.verb]))
                for pair in entry[keys.pairs]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: {type(error).__name__}: {error}; expected {keys.boxes} with bbox and category_id, "
                f"{keys.pairs} with subject_id, object_id and {keys.verb}, ids whole numbers"
            ) from None
        if not isinstance(name, str) or not name:
            raise DataError(f"{where}: file_name is {name!r}; expected text")
        filenames.append(name)
        for subject_id, object_id, verb_id in pairs:
            if object_id == _NO_OBJECT:
                continue
            if not (0 <= subject_id < len(listed) and 0 <= object_id < len(listed)):
                left_out += 1
                continue
            (human, human_box), (thing, object_box) = listed[subject_id], listed[object_id]
            ids.append((row, verb_id, human, thing))
            boxes.append((box_of(human_box, "a bbox", where), box_of(object_box, "a bbox", where)))
    columns = np.array(ids, np.int64).reshape(-1, 4)
    corners = np.array(boxes, np.float64).reshape(-1, 2, 4)
    return CommunityImages(
        entries=data,
        filenames=tuple(filenames),
        image_index=columns[:, 0],
        verb_ids=columns[:, 1],
        human_categories=columns[:, 2],
        object_categories=columns[:, 3],
        human_boxes=corners[:, 0],
        object_boxes=corners[:, 1],
        left_out=left_out,
    )


def _whole(value: Any) -> int:
    """An id, which may be text with blanks and line ends around it."""
    if isinstance(value, bool | float):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def box_of(values: Any, what: str, where: str) -> list[float]:
    """Return a JSON list as a box; raises DataError unless it holds four finite numbers."""
    if isinstance(values, list) and len(values) == 4 and all(type(value) in (int, float) for value in values):
        box = [float(value) for value in values]
        if np.isfinite(box).all():
            return box
    raise DataError(f"{where}: {what} is {values!r}; expected four finite numbers x1, y1, x2, y2")
