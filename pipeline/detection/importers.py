"""Detections of others as proposals: COCO-results JSON, and a folder with one JSON file per image.

- COCO results: a list of {"image_id", "category_id", "bbox": [x, y, w, h], "score"}.
- Per image: `<image id>.json` with {"boxes": [[x1, y1, x2, y2], ...], "scores": [...], "labels": [...]}.

Boxes are continuous pixels of the original image. Images are found by their id, or by the number that it ends with,
which is COCO's id of a V-COCO image. Categories are mapped by name; those that the vocabulary lacks are dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.image_bounds import check_inside
from pipeline.core.types import check_boxes
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.coco_categories import NUMBERINGS, object_ids_of
from pipeline.data.split import SplitManifest
from pipeline.store.files import sha256_of
from pipeline.store.json_file import load_json
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of

LABELS = ("vocabulary", *NUMBERINGS)


@dataclass(frozen=True)
class _Found:
    """Flat detections: image rows int64 [N], boxes float64 [N, 4] xyxy, scores float64 [N], labels int64 [N]."""

    image: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]


def import_proposals(
    source: Path, manifest: SplitManifest, vocabulary: Vocabulary, *, labels: str, detector: str
) -> SplitProposals:
    """Read detections of a split, by falling score within each image.

    Args:
        source: a COCO-results file, or a folder of per-image files.
        labels: what labels count: "vocabulary" (ids of `vocabulary.objects`), "coco91" or "coco80".
        detector: what made them, in words; recorded with the file's digest.

    Raises:
        DataError: unreadable, another split's images, unknown labels, boxes that are NaN, inverted or clearly outside
            their image, scores outside 0..1.
    """
    found = _read_folder(source, manifest) if source.is_dir() else _read_coco_results(source, manifest)
    check_boxes(found.boxes.astype(np.float32), str(source))
    bad = ~((found.scores >= 0) & (found.scores <= 1))
    if bad.any():
        raise DataError(f"{source}: score {found.scores[bad][0]} is outside 0..1; expected probabilities")
    names = dict(enumerate(vocabulary.objects)) if labels == "vocabulary" else NUMBERINGS[labels]
    try:
        object_ids = object_ids_of(found.labels, names, vocabulary)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    sizes = np.array([(record.width, record.height) for record in manifest.images], np.int64).reshape(-1, 2)
    check_inside(found.boxes, sizes[found.image], str(source))
    order = np.lexsort((-found.scores, found.image))
    order = order[object_ids[order] >= 0]
    image = found.image[order]
    boxes = np.clip(found.boxes[order], 0, np.tile(sizes[image], 2))
    return SplitProposals(
        image_ids=manifest.image_ids,
        objects=vocabulary.objects,
        detector=f"{detector} {sha256_of(source)}",
        offsets=offsets_of(np.bincount(image, minlength=len(manifest))),
        boxes=boxes.astype(np.float32),
        scores=found.scores[order].astype(np.float32),
        object_ids=object_ids[order],
    )


def _read_coco_results(path: Path, manifest: SplitManifest) -> _Found:
    data = load_json(path)
    if not isinstance(data, list):
        raise DataError(f"{path}: not COCO results; expected a list of image_id, category_id, bbox, score")
    try:
        rows = _image_rows([entry["image_id"] for entry in data], manifest, path)
        boxes = np.array([entry["bbox"] for entry in data], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        scores = np.array([entry["score"] for entry in data], np.float64)
        labels = _whole([entry["category_id"] for entry in data])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not COCO results ({error!r}); expected image_id, category_id, bbox [x, y, w, h], score"
        ) from None
    return _Found(rows, boxes, scores, labels)


def _read_folder(folder: Path, manifest: SplitManifest) -> _Found:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise DataError(f"{folder}: holds no .json file; expected one per image, named after it")
    parts: dict[str, list[Any]] = {"boxes": [], "scores": [], "labels": []}
    counts = []
    for file in files:
        data = load_json(file)
        try:
            boxes = np.array(data["boxes"], np.float64).reshape(-1, 4)
            scores, labels = np.array(data["scores"], np.float64).ravel(), _whole(data["labels"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{file}: not a detection file ({error!r}); expected boxes, scores, labels") from None
        if not len(boxes) == len(scores) == len(labels):
            raise DataError(f"{file}: {len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels; expected equal")
        parts["boxes"].append(boxes)
        parts["scores"].append(scores)
        parts["labels"].append(labels)
        counts.append(len(boxes))
    rows = np.repeat(_image_rows([file.stem for file in files], manifest, folder), counts)
    return _Found(rows, *(np.concatenate(parts[name]) for name in ("boxes", "scores", "labels")))


def _whole(labels: Any) -> NDArray[np.int64]:
    """Labels as int64; ValueError where one is no whole number."""
    numbers = np.array(labels, np.float64).ravel()
    if not (numbers == np.rint(numbers)).all():
        raise ValueError("labels are not whole numbers")
    return numbers.astype(np.int64)


def _image_rows(found: list[Any], manifest: SplitManifest, where: Path) -> NDArray[np.int64]:
    """Manifest rows of image ids, which are names, or the numbers that names end with."""
    numbers = [re.search(r"(\d+)$", record.image_id) for record in manifest.images]
    by_name: dict[Any, int] = {int(number[1]): row for row, number in enumerate(numbers) if number}
    by_name |= {name: row for row, record in enumerate(manifest.images) for name in (record.image_id, record.path)}
    rows: list[int] = []
    for image_id in found:
        row = by_name.get(int(image_id) if isinstance(image_id, float) else image_id)
        if row is None and isinstance(image_id, str):
            row = by_name.get(int(image_id)) if image_id.isdecimal() else by_name.get(Path(image_id).stem)
        if row is None:
            raise DataError(
                f'{where}: image "{image_id}" is not among the {len(manifest)} of {manifest.dataset} {manifest.split}; '
                "give the detections of that split"
            )
        rows.append(row)
    return np.array(rows, np.int64)
