"""Boxes of a user's own dataset: annotations.csv or annotations.json, beside the images.

CSV, a row per pair; a row with an image alone says that it was annotated and shows no pair:

    image,verb,object,human_x1,human_y1,human_x2,human_y2,object_x1,object_y1,object_x2,object_y2

JSON, a list of the same: {"image": "a.jpg", "verb": "ride", "object": "horse", "human_box": [x1, y1, x2, y2],
"object_box": [...]}; or the community's form (`community_form.py`), whose ids annotations.names.json names:
{"verbs": {"1": "ride"}, "objects": {"1": "person"}}, without "objects" those of COCO (1..90). In each, "split" may say
train, val or test. Boxes are continuous pixels of the upright image, from 0, right and bottom exclusive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.types import FloatArray, unusable_boxes
from pipeline.data.coco_categories import COCO_91
from pipeline.data.csv_file import read_rows
from pipeline.data.label_csv import image_path_of, plain_name, split_of
from pipeline.store.json_file import load_json, read_annotation_json
from pipeline.truth.community_form import box_of, images_of, is_community_form

CSV, JSON, NAMES = "annotations.csv", "annotations.json", "annotations.names.json"
HUMAN = "person"
_CORNERS = {box: [f"{box}_{corner}" for corner in ("x1", "y1", "x2", "y2")] for box in ("human", "object")}
_BOX_COLUMNS = [*_CORNERS["human"], *_CORNERS["object"]]


@dataclass(frozen=True)
class NamedPair:
    """A pair of one image: names as the vocabulary spells them, boxes float32 [2, 4] human and object."""

    verb: str
    object: str
    boxes: FloatArray
    where: str


@dataclass
class BoxedImage:
    """An annotated image: what first names it, its line (0 in JSON), its split if it says one, and its pairs."""

    path: str
    where: str
    line: int
    split: str | None
    pairs: list[NamedPair] = field(default_factory=list)


def annotation_files(folder: Path) -> list[Path]:
    """Return the annotations of a folder and the file of their names; none where there are none.

    Raises:
        DataError: there are two.
    """
    found = [folder / name for name in (CSV, JSON) if (folder / name).exists()]
    if len(found) > 1:
        raise DataError(f"{folder}: holds both {CSV} and {JSON}; keep one")
    names = folder / NAMES
    return [*found, names] if found and found[0].name == JSON and names.exists() else found


def read_own_annotations(files: list[Path]) -> dict[str, BoxedImage]:
    """Return the annotated images by their path, from what `annotation_files` found.

    Raises:
        DataError: another form, a name that is missing, or a box that is none; names file and line or image.
    """
    path = files[0]
    images: dict[str, BoxedImage] = {}
    rows = _csv_rows(path) if path.name == CSV else _json_rows(path, files[1:])
    for image, pair in rows:
        known = images.setdefault(image.path, image)
        if known.split != image.split:
            raise DataError(
                f'{image.where}: "{image.path}" is in split {image.split or "none"}, {known.where} says '
                f"{known.split or 'none'}; keep one"
            )
        if pair is not None:
            known.pairs.append(pair)
    if not images:
        raise DataError(f"{path}: names no image; expected a row per annotated pair")
    return images


_Rows = Iterator[tuple[BoxedImage, NamedPair | None]]


def _csv_rows(path: Path) -> _Rows:
    for line, row in read_rows(path, ("image", "verb", "object", *_BOX_COLUMNS), ("split",)):
        where = f"{path} line {line}"
        entry: dict[str, Any] = {key: row[key] for key in ("image", "verb", "object", "split") if row.get(key)}
        if "split" in row and not row["split"]:
            split_of("", where)
        for box, columns in _CORNERS.items():
            if any(row[column] for column in columns):
                entry[f"{box}_box"] = [_number(row[column]) for column in columns]
        yield _row(entry, where, line)


def _number(text: str) -> float | str:
    """A CSV's number; other text as it is, which no box takes."""
    try:
        return float(text)
    except ValueError:
        return text


def _json_rows(path: Path, names: list[Path]) -> _Rows:
    data = load_json(path)
    if is_community_form(data):
        yield from _community_rows(data, path, *names)
        return
    if not isinstance(data, list) or not all(isinstance(entry, dict) and "image" in entry for entry in data):
        raise DataError(
            f"{path}: expected a list of pairs with image, verb, object, human_box and object_box, or of images with "
            "file_name, annotations and hoi_annotation"
        )
    for number, entry in enumerate(data):
        yield _row(entry, f"{path} pair {number}", 0)


def _row(entry: Mapping[str, Any], where: str, line: int) -> tuple[BoxedImage, NamedPair | None]:
    """A pair of the simple form, or None for an image alone."""
    known = ("image", "split", "verb", "object", "human_box", "object_box")
    for key in entry:
        if key not in known:
            raise DataError(f'{where}: unknown key "{key}"{did_you_mean(key, known)}; expected {", ".join(known)}')
    for key in known[:4]:
        if not isinstance(entry.get(key, ""), str):
            raise DataError(f"{where}: {key} is {entry[key]!r}; expected text")
    image = BoxedImage(
        path=image_path_of(entry.get("image", ""), where),
        where=where,
        line=line,
        split=split_of(entry["split"], where) if "split" in entry else None,
    )
    given = [key for key in known[2:] if entry.get(key)]
    if not given:
        return image, None
    missing = [key for key in known[2:] if key not in given]
    if missing:
        raise DataError(
            f"{where}: has {given[0]}, but no {missing[0]}; expected verb, object and both boxes, or none of them for "
            "an image without pairs"
        )
    boxes = [box_of(entry[key], key, where) for key in known[4:]]
    return image, NamedPair(plain_name(entry["verb"]), plain_name(entry["object"]), _boxes(boxes, where), where)


def _boxes(boxes: Any, where: str) -> FloatArray:
    """Human and object box, float32 [2, 4]."""
    corners = np.array(boxes, np.float32)
    for kind, box, bad in zip(_CORNERS, corners, unusable_boxes(corners), strict=True):
        if bad:
            raise DataError(
                f"{where}: {kind} box is {box.tolist()}; expected x1 <= x2, y1 <= y2 (corners, not width and height)"
            )
    return corners


def _community_rows(data: Any, path: Path, names: Path | None = None) -> _Rows:
    found = images_of(data, path)
    if found.left_out:
        raise DataError(f"{path}: {found.left_out} rows of hoi_annotation point past their image's list of boxes")
    verbs, objects = _names(path, names)
    images = []
    for name, entry in zip(found.filenames, found.entries, strict=True):
        where = f'{path}: image "{name}"'
        split = split_of(str(entry["split"]), where) if "split" in entry else None
        images.append(BoxedImage(image_path_of(name, where), where, 0, split))
        yield images[-1], None
    for row, image in enumerate(found.image_index.tolist()):
        where = images[image].where
        human = _named(int(found.human_categories[row]), objects, "object", where)
        if human != HUMAN:
            raise DataError(f'{where}: the subject of a pair is a "{human}"; expected "{HUMAN}"')
        verb = _named(int(found.verb_ids[row]), verbs, "verb", where)
        name = _named(int(found.object_categories[row]), objects, "object", where)
        boxes = _boxes([found.human_boxes[row], found.object_boxes[row]], where)
        yield images[image], NamedPair(verb, name, boxes, where)


def _names(path: Path, names: Path | None) -> tuple[dict[int, str], dict[int, str]]:
    """Verbs and objects by their ids."""
    if names is None:
        raise DataError(
            f'{path}: verbs have ids; name them in {path.with_name(NAMES)}: {{"verbs": {{"1": "ride"}}, "objects": '
            '{"1": "person"}}, without "objects" those of COCO'
        )
    data = read_annotation_json(names, ("verbs",), "the names of")
    tables = []
    for key, known in (("verbs", {}), ("objects", COCO_91)):
        try:
            table = {int(number): name for number, name in data[key].items()} if key in data else known
            tables.append({number: plain_name(name) for number, name in table.items()})
        except (AttributeError, ValueError):
            raise DataError(f'{names}: {key} is no object of names by id; expected {{"1": "name", ...}}') from None
    return tables[0], tables[1]


def _named(number: int, names: dict[int, str], kind: str, where: str) -> str:
    if number not in names:
        raise DataError(
            f"{where}: {kind} id {number} has no name; expected one of the {len(names)} that {NAMES} or COCO gives"
        )
    return names[number]
