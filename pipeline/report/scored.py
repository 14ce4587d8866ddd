"""A variant's matched detections as what the report shows: the best of each class, and all of the gallery's images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.types import Detections, IntArray
from pipeline.evaluation.fusion import Factors
from pipeline.report.selection import Findings, best_rows
from pipeline.store.detections_dump import COLUMNS, MATCHES, DetectionsDump, factor_columns
from pipeline.truth.ground_truth import GroundTruth

_ROWS_PER_IMAGE = 30  # of the gallery, on average: bounds the size of the page


@dataclass(frozen=True)
class ScoredRun:
    """A variant's detections, as far as they are shown.

    `best`: of each class its best-scored ones in the split, as many as it has annotated pairs, best first.
    `gallery`: all detections of the gallery's images that score at least `floor`, by image, best first.
    `break_even`: the score above which there are as many detections in the split as annotated pairs.
    """

    best: Findings
    gallery: Findings
    floor: float
    break_even: float


def read_scored(dump: DetectionsDump, truth: GroundTruth, num_hois: int, gallery_images: IntArray) -> ScoredRun:
    """Read the detections that are shown; boxes and factors of no others.

    Args:
        dump: what `evaluate` wrote about the run.
        gallery_images: rows of the split.

    Raises:
        ArtifactError: damaged.
    """
    image_index, hoi_id, scores = (dump.read_column(name) for name in ("image_index", "hoi_id", "scores"))
    shown = np.flatnonzero(np.isin(image_index, gallery_images))
    floor = _floor(scores[shown], _ROWS_PER_IMAGE * len(gallery_images))
    shown = shown[scores[shown] >= floor]
    shown = shown[np.lexsort((shown, -scores[shown], image_index[shown]))]
    return ScoredRun(
        best=_findings(dump, best_rows(hoi_id, scores, image_index, np.bincount(truth.hoi_id, minlength=num_hois))),
        gallery=_findings(dump, shown),
        floor=floor,
        break_even=max(floor, _floor(scores, len(truth))),
    )


def _floor(scores: np.ndarray, count: int) -> float:
    """The score of the `count`-th best of these, of the last if there are fewer, 1 if there are none."""
    if not len(scores) or not count:
        return 1.0
    place = min(count, len(scores)) - 1
    return float(-np.partition(-scores, place)[place])


def _findings(dump: DetectionsDump, rows: IntArray) -> Findings:
    factors = factor_columns(dump.weights)
    columns = dump.take(rows, [*COLUMNS, *MATCHES, *factors])
    return Findings(
        detections=Detections(**{name: columns[name] for name in COLUMNS}),
        hits=columns["hit"],
        matched_index=columns["matched"],
        factors=Factors({name: columns[f"factor.{name}"] for name in dump.weights}, dump.weights),
    )
