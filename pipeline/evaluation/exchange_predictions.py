"""Triplets in JSON files, as DETR-like methods leave them: `results.json` of CDN, GEN-VLKT and HOICLIP, and PPDM's.

One entry per image: its name; `predictions`, a list of boxes {bbox [x1, y1, x2, y2], category_id}; `hoi_prediction`, a
list of {subject_id, object_id (rows of predictions), category_id, score}.

| | results.json | best_predictions.json (PPDM) |
|---|---|---|
| file | a JSON string that holds Python's repr of {"preds": [...], "gts": [...]} | a JSON list |
| name of the image | filename | file_name |
| boxes | continuous | 0-based inclusive pixels |
| category of a box | COCO's 0..79 (CDN); none (GEN-VLKT, HOICLIP) | COCO's published 1..90 |
| category of a triplet | verb from 0 (CDN); HOI class from 0 (GEN-VLKT, HOICLIP) | verb from 1 |

A repr is taken apart as literals and never evaluated. Entries in plain JSON are read as well.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import Detections, IntArray, shortened
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.coco_categories import COCO_80, COCO_91, object_ids_of
from pipeline.evaluation.exchange_hicodet import to_continuous
from pipeline.evaluation.ranges import check_range
from pipeline.store.files import atomic_path
from pipeline.store.json_file import load_json
from pipeline.store.targets import check_replaceable

_HEAD, _TAIL = "{'preds': [", "]}"
# Of a repr: a dict of plain values as a whole, a string, or a brace; brackets are of no use here.
_TOKEN = re.compile(r"""\{(?:[^{}'"\\]+|'[^'\\]*')*+\}|'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|[{}]""", re.DOTALL)
_NUMPY_SCALAR = re.compile(r"\b(?:np|numpy)\.\w+\((-?[\d.]+(?:e[-+]?\d+)?)\)")  # since numpy 2: np.float32(0.5)
_NO_CATEGORY = -1
_LARGEST_ID = 1 << 31
_FORM = "expected an entry per image with filename, predictions and hoi_prediction"


@dataclass(frozen=True)
class _Triplets:
    """Rows of one image: boxes float64 [R, 4]; categories of object boxes (-1: none) and of triplets, int64 [R]."""

    human_boxes: NDArray[np.float64]
    object_boxes: NDArray[np.float64]
    labels: IntArray
    classes: IntArray
    scores: NDArray[np.float64]


def read_predictions(path: Path, vocabulary: Vocabulary, filenames: Sequence[str]) -> tuple[Detections, list[str]]:
    """Read a file of either form; rows by image, in the file's order within it.

    Args:
        filenames: of the annotated images.

    Returns:
        Unchecked detections, and what a reader of their scores should know.

    Raises:
        DataError: unreadable, of another form, an unknown or repeated image, rows or ids out of range, verbs without
            the category of their object.
    """
    known = {name: index for index, name in enumerate(filenames)}
    images: dict[int, _Triplets] = {}
    is_ppdm = False
    for entry in _entries(path):
        if not isinstance(entry, dict):
            raise DataError(f"{path}: an entry is {shortened(entry)}; {_FORM}")
        is_ppdm = "file_name" in entry
        name = entry.get("file_name", entry.get("filename"))
        if not isinstance(name, str) or name not in known:
            raise DataError(
                f"{path}: image {shortened(name)} is not among the {len(known)} annotated images; "
                "give the annotations of the split that was detected"
            )
        if known[name] in images:
            raise DataError(f"{path}: image {shortened(name)} is there twice; expected one entry per image")
        images[known[name]] = _triplets(entry, f"{path}: image {shortened(name)}")
    order = sorted(images)
    empty = _triplets({"predictions": [], "hoi_prediction": []}, str(path))
    parts = [vars(part) for part in (empty, *(images[index] for index in order))]
    rows = _Triplets(**{column: np.concatenate([part[column] for part in parts]) for column in parts[0]})
    hoi_ids, notes = _hoi_ids(rows, vocabulary, is_ppdm, path)
    humans, things = rows.human_boxes, rows.object_boxes
    if is_ppdm:
        humans, things = to_continuous(humans), to_continuous(things)
    counts = [len(images[index].scores) for index in order]
    detections = Detections(
        image_index=np.repeat(np.array(order, np.int32), counts),
        hoi_id=hoi_ids.astype(np.int16),
        human_boxes=humans.astype(np.float32),
        object_boxes=things.astype(np.float32),
        scores=rows.scores.astype(np.float32),
    )
    return detections.take(hoi_ids >= 0), notes


def write_predictions(path: Path, detections: Detections, filenames: Sequence[str]) -> None:
    """Write all detections in the form of GEN-VLKT's `results.json`, without the annotations ("gts").

    Raises:
        DataError: anything but such a file is there.
    """
    check_predictions_target(path)
    detections = detections.take(np.argsort(detections.image_index, kind="stable"))
    starts = np.searchsorted(detections.image_index, np.arange(len(filenames) + 1)).tolist()
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(f'"{_HEAD}')
        for image, (start, stop) in enumerate(pairwise(starts)):
            entry = _entry(filenames[image], detections.take(slice(start, stop)))
            stream.write(json.dumps(f"{', ' if image else ''}{entry}")[1:-1])  # a part of one long string
        stream.write(f'{_TAIL}"')


def check_predictions_target(path: Path) -> None:
    """Refuse a path that can't be written, or that holds anything but such a `results.json`.

    Raises:
        DataError, ArtifactError: as `check_replaceable`.
    """
    check_replaceable(path, _is_results, what="predictions of this form", option="--output")


def _is_results(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_HEAD) + 1) == f'"{_HEAD}'.encode()
    except OSError:
        return False


def _entry(filename: str, rows: Detections) -> dict[str, Any]:
    """One image of the written form: each box once."""
    boxes, ids = np.unique(np.concatenate([rows.human_boxes, rows.object_boxes]), axis=0, return_inverse=True)
    subjects, objects = ids.reshape(2, -1).tolist()
    triplets = zip(subjects, objects, rows.hoi_id.tolist(), rows.scores.tolist(), strict=True)
    keys = ("subject_id", "object_id", "category_id", "score")
    return {
        "filename": filename,
        "predictions": [{"bbox": box} for box in boxes.tolist()],
        "hoi_prediction": [dict(zip(keys, triplet, strict=True)) for triplet in triplets],
    }


def _entries(path: Path) -> Iterator[Any]:
    """Entries of the images, one at a time."""
    data = load_json(path)
    if isinstance(data, str):
        return _entries_of_repr(data, path)
    if isinstance(data, dict):
        data = data.get("preds")
    if not isinstance(data, list):
        raise DataError(f"{path}: no predictions; {_FORM}")
    return iter(data)


def _entries_of_repr(text: str, path: Path) -> Iterator[Any]:
    """Dicts in the list "preds" of a dict's repr, each read by itself: a whole file would need gigabytes."""
    depth, start, key, found = 1, 0, "", False
    for token in _TOKEN.finditer(text, text.find("{") + 1):
        first, last = token[0][0], token[0][-1]
        if first in "'\"" and depth == 1:
            key = token[0][1:-1]
            found |= key == "preds"
        if first == "{":
            depth += 1
            start = token.start() if depth == 2 else start
        if last == "}":
            depth -= 1
            if depth == 1 and key == "preds":
                yield _literal(text[start : token.end()], path)
    if not found or depth:
        raise DataError(f'{path}: no whole list "preds" in its text; {_FORM}: write the file again')


def _literal(text: str, path: Path) -> Any:
    if "np." in text or "numpy." in text:
        text = _NUMPY_SCALAR.sub(r"\1", text)
    if '"' not in text and "\\" not in text:  # then JSON but for its quotes, which is read ten times as fast
        with suppress(ValueError, RecursionError):
            return json.loads(text.replace("'", '"'))
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        # MemoryError too: the parser raises it for what is nested too deeply
        raise DataError(
            f"{path}: {shortened(text)} holds more than numbers, texts, lists and dicts; nothing else is read"
        ) from None


def _triplets(entry: Mapping[str, Any], where: str) -> _Triplets:
    """Rows of one entry."""
    try:
        boxes = np.array([box["bbox"] for box in entry["predictions"]], np.float64).reshape(-1, 4)
        labels = _whole([box.get("category_id", _NO_CATEGORY) for box in entry["predictions"]])
        hois = entry["hoi_prediction"]
        subjects, objects, classes = (
            _whole([hoi[key] for hoi in hois]) for key in ("subject_id", "object_id", "category_id")
        )
        scores = np.array([hoi["score"] for hoi in hois], np.float64).reshape(-1)
        for ids, what in ((subjects, "subject_id"), (objects, "object_id")):
            check_range(ids, len(boxes), f"{where}: {what}", "boxes")
        if len(boxes) != len(entry["predictions"]):
            raise ValueError("a bbox is not 4 numbers")
        return _Triplets(boxes[subjects], boxes[objects], labels[objects], classes, scores)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise DataError(f"{where}: {reason}; {_FORM}") from None


def _whole(values: Sequence[Any]) -> IntArray:
    """Ids, which some files hold as text."""
    numbers = np.array([int(value) if isinstance(value, str) else value for value in values], np.float64)
    strange = ~((numbers == np.floor(numbers)) & (np.abs(numbers) < _LARGEST_ID))
    if strange.any():
        raise ValueError(f"an id is {numbers[strange][0]}, no whole number")
    return numbers.astype(np.int64).reshape(-1)


def _hoi_ids(rows: _Triplets, vocabulary: Vocabulary, is_ppdm: bool, path: Path) -> tuple[IntArray, list[str]]:
    """HOI class of each row, -1 where its verb and object are none, and notes."""
    without = rows.labels == _NO_CATEGORY
    highest = int(rows.classes.max(initial=0))
    if not is_ppdm and (without.all() or highest >= vocabulary.num_verbs):
        check_range(rows.classes, vocabulary.num_hois, f"{path}: category_id", "HOI classes")
        notes = [f"{path}: category_id is read as the HOI class from 0"]
        if highest < vocabulary.num_verbs and len(without):
            notes[0] += f", since boxes have no category; if it is the verb (all are below {vocabulary.num_verbs}), "
            notes[0] += "add the category_id of boxes"
        return rows.classes, notes
    if without.any():
        raise DataError(
            f"{path}: category_id is the verb, and {int(without.sum())} of {len(without)} object boxes have no "
            "category_id; expected one in each, COCO's number of the object"
        )
    verbs = rows.classes - 1 if is_ppdm else rows.classes
    check_range(verbs, vocabulary.num_verbs, f"{path}: verb", "verbs")
    try:
        object_ids = object_ids_of(rows.labels, COCO_91 if is_ppdm else COCO_80, vocabulary)
    except DataError as error:
        raise DataError(f"{path}: category_id of a box: {error}") from None
    hoi_ids = np.where(object_ids >= 0, vocabulary.hoi_id_table[verbs, object_ids], -1)
    numbers = f"the verb from {int(is_ppdm)}, that of boxes as COCO's {'1..90' if is_ppdm else '0..79'}"
    notes = [f"{path}: category_id is read as {numbers}"]
    if (lost := int((hoi_ids < 0).sum())) > 0:
        notes.append(f"{lost} of {len(hoi_ids)} triplets are of no HOI class; left out, as where they come from")
    return hoi_ids, notes
