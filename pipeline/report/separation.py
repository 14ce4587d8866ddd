"""How well classes separate in a space of any width: what a t-SNE picture suggests, measured before the projection.

All measures lie in 0..1 (the silhouette in -1..1), higher is better. Neighbors are ranked by exact distances,
equal ones by row, so that the number of threads changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_score

from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.report.number_text import mean_and_deviation

Points = NDArray[np.floating]
_ROWS_AT_ONCE = 512
_DIGITS = 4  # beyond them, results depend on the order of sums


def pair_measures(
    representation: Points, hoi_ids: IntArray, images: IntArray, vocabulary: Vocabulary, neighbors: int | None
) -> dict[str, float]:
    """Separation of pair representations [n, D] by HOI class.

    `hoi_purity`: of the neighbors in other images, those of the same HOI class. `verb_purity`: the same among pairs of
    the same object category, so that telling objects apart does not help. `hoi_silhouette`: of the HOI classes; left
    out where `neighbors` is None, which gives the chance level of the others.
    """
    points, objects = representation.astype(np.float64), vocabulary.hoi_object_ids[hoi_ids]
    measures = {
        "hoi_purity": neighbor_purity(points, hoi_ids, images, neighbors),
        "verb_purity": neighbor_purity(points, hoi_ids, images, neighbors, pools=objects),
    }
    return measures if neighbors is None else measures | {"hoi_silhouette": silhouette(points, hoi_ids)}


def bank_measures(bank: Points, vocabulary: Vocabulary, *, at_random: bool = False) -> dict[str, float]:
    """R-precision by cosine of a bank's rows [H, D], for shared objects and shared verbs; `at_random`: chance level."""
    groups = {"object_precision": vocabulary.hoi_object_ids, "verb_precision": vocabulary.hoi_verb_ids}
    rows = bank.astype(np.float64)
    return {name: group_precision(rows, group, at_random=at_random) for name, group in groups.items()}


def over_seeds(measures: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Mean and standard deviation (ddof 1) of each measure over seeds, and the single values, rounded."""
    table: dict[str, Any] = {}
    for name in measures[0]:
        values = [row[name] for row in measures]
        estimate = mean_and_deviation(values)
        table[name] = {
            "mean": rounded(estimate.mean),
            "sd": rounded(estimate.spread),
            "seeds": [rounded(value) for value in values],
        }
    return table


def rounded(value: float) -> float | None:
    """The value as JSON keeps it; None where it is not a number."""
    return None if math.isnan(value) else round(value, _DIGITS)


def unit_rows(rows: Points) -> Points:
    """Rows [n, D] at length 1; a row of zeros stays as it is."""
    lengths: Points = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(lengths, 1e-12)


def neighbor_purity(
    points: Points, classes: IntArray, images: IntArray, neighbors: int | None, pools: IntArray | None = None
) -> float:
    """Share of a point's nearest neighbors in other images that are of its class, averaged over classes.

    A point looks at `neighbors` others, or at as many as there are of its class, so that 1 can be reached; points
    whose class occurs in no other image are left out.

    Args:
        points: [n, D], compared by Euclidean distance.
        classes, images: int64 [n].
        neighbors: None looks at all others: what neighbors drawn at random would give, the chance level.
        pools: int64 [n]: only points of the same pool are neighbors; None: all are.

    Returns:
        0..1; NaN where no point has a neighbor of its class.
    """
    shares = _shares(points, classes, images, neighbors, pools)
    known = ~np.isnan(shares)
    return _mean([shares[known & (classes == name)].mean() for name in np.unique(classes[known])])


def silhouette(points: Points, classes: IntArray) -> float:
    """Mean silhouette coefficient of the classes over all points, -1..1 (Rousseeuw, 1987); NaN for a single class."""
    return float(silhouette_score(points, classes)) if 1 < len(np.unique(classes)) < len(points) else math.nan


def group_precision(rows: Points, groups: IntArray, *, at_random: bool = False) -> float:
    """R-precision by cosine: of a row's R nearest, the share of its group, R being the size of the rest of that group.

    Args:
        rows: [H, D].
        groups: int64 [H]; rows alone in their group are left out.
        at_random: what a random order of the other rows would give.

    Returns:
        the mean over rows, 0..1; NaN where all are alone.
    """
    neighbors = None if at_random else len(rows)  # at most R are looked at
    shares = _shares(unit_rows(rows), groups, np.arange(len(rows)), neighbors)
    return _mean(shares[~np.isnan(shares)])


def _shares(
    points: Points, classes: IntArray, images: IntArray, neighbors: int | None, pools: IntArray | None = None
) -> NDArray[np.float64]:
    """What `neighbor_purity` averages, [n]; NaN for a point without a neighbor of its class."""
    shares = np.full(len(points), np.nan)
    for start in range(0, len(points), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        allowed = images[rows, None] != images
        if pools is not None:
            allowed &= pools[rows, None] == pools
        same = (classes[rows, None] == classes) & allowed
        distance = np.where(allowed, cdist(points[rows], points), np.inf)
        ranked = np.take_along_axis(same, np.argsort(distance, axis=1, kind="stable"), axis=1)
        available = same.sum(1)
        looked_at = allowed.sum(1) if neighbors is None else np.minimum(available, neighbors)
        hits = (ranked & (np.arange(len(points)) < looked_at[:, None])).sum(1)
        shares[rows] = np.where(available > 0, hits / np.maximum(looked_at, 1), np.nan)
    return shares


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else math.nan
