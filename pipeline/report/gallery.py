"""What the page's gallery holds, as plain JSON: small pictures, annotated pairs, and each variant's detections.

Boxes are [x1, y1, x2, y2] in pixels of the original image, not of the smaller embedded picture. A detected pair is
`{"boxes": [human, object], "rows": [[hoi, score, factors, type, annotation], ...]}`: factors are in the order of the
run's `factors`, `type` is a place in `errors`, 0 for right, `annotation` is a row of the image's `truth` (-1: none).
A run lists all its detections of these images that score at least its `floor`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from pipeline.core.types import Detections, IntArray
from pipeline.data.images import open_split_image
from pipeline.evaluation.error_types import ERROR_TYPES
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.report.drawing import jpeg_bytes
from pipeline.report.number_text import rounded_box, significant
from pipeline.report.selection import Corners, Findings, ScoredRun, pair_corners
from pipeline.truth.ground_truth import GroundTruth

_LONGER_SIDE = 480  # pixels of an embedded picture, at most
_DIGITS = 4  # significant digits of a score; keeps the order of scores
_BOX_DECIMALS = 1
_NOT_COUNTED = "not counted"  # by the setting: the last of `errors`, to which -1 points


def gallery_record(
    runs: Mapping[str, ScoredRun],
    shown_first: str,
    split: ScoredSplit,
    images: IntArray,
    done: Callable[[int], None],
) -> dict[str, Any]:
    """Return the record that the page embeds.

    Args:
        runs: by variant, in the order in which they are offered; `shown_first` is one of them.
        images: rows of the split that are shown, those that the runs were scored for.
        done: called with 1 after each image.

    Raises:
        DataError: an image is missing or damaged.
    """
    truth, vocabulary = split.annotated.truth, split.vocabulary
    annotated = [np.flatnonzero(truth.image_index == image) for image in images.tolist()]
    shown = []
    for image, rows in zip(images.tolist(), annotated, strict=True):
        shown.append(_image_record(split, image, rows))
        done(1)
    return {
        "first": list(runs).index(shown_first),
        "errors": [*(name.replace("_", " ") for name in ERROR_TYPES), _NOT_COUNTED],
        "hois": [name.replace("_", " ") for name in vocabulary.hoi_names],
        "images": shown,
        "runs": [_run_record(name, run, images, annotated) for name, run in runs.items()],
    }


def _image_record(split: ScoredSplit, image: int, annotated: IntArray) -> dict[str, Any]:
    record, truth = split.manifest.images[image], split.annotated.truth
    picture = open_split_image(split.manifest, image, split.inputs.layout.root)
    return {
        "id": record.image_id,
        "width": record.width,
        "height": record.height,
        "src": f"data:image/jpeg;base64,{_thumbnail(picture)}",
        "truth": [[int(truth.hoi_id[row]), *_boxes(truth, row)] for row in annotated.tolist()],
    }


def _run_record(name: str, run: ScoredRun, images: IntArray, annotated: list[IntArray]) -> dict[str, Any]:
    return {
        "name": name,
        "factors": list(run.gallery.factors.in_use),
        "floor": significant(run.floor, _DIGITS),
        "threshold": significant(run.break_even, _DIGITS),
        "found": [_found_pairs(run.gallery, image, rows) for image, rows in zip(images, annotated, strict=True)],
    }


def _found_pairs(findings: Findings, image: int, annotated: IntArray) -> list[dict[str, Any]]:
    """Detected pairs of one image in the order of their best row."""
    place = {row: index for index, row in enumerate(annotated.tolist())}
    detections, factors = findings.detections, findings.factors
    weighted = [factors.weighted(name) for name in factors.in_use]
    pairs: dict[Corners, dict[str, Any]] = {}
    for row in np.flatnonzero(detections.image_index == image).tolist():
        pair = pairs.setdefault(pair_corners(detections, row), {"boxes": _boxes(detections, row), "rows": []})
        pair["rows"].append(
            [
                int(detections.hoi_id[row]),
                significant(detections.scores[row], _DIGITS),
                [significant(factor[row], _DIGITS) for factor in weighted],
                int(findings.errors[row]) % (len(ERROR_TYPES) + 1),
                place.get(int(findings.matched_index[row]), -1),
            ]
        )
    return list(pairs.values())


def _boxes(record: Detections | GroundTruth, row: int) -> list[list[float]]:
    """Human and object box."""
    return [rounded_box(boxes[row], _BOX_DECIMALS) for boxes in (record.human_boxes, record.object_boxes)]


def _thumbnail(image: Image.Image) -> str:
    """Base64 of a JPEG no larger than `_LONGER_SIDE`; equal pixels give equal bytes."""
    small = image.convert("RGB")
    small.thumbnail((_LONGER_SIDE, _LONGER_SIDE), Image.Resampling.LANCZOS)
    return b64encode(jpeg_bytes(small, subsampling=2)).decode("ascii")
