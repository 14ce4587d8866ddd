"""How well classes separate in a space of any width: what a t-SNE picture suggests, measured before the projection.

All measures lie in 0..1 (the silhouette in -1..1), higher is better. Distances are exact and independent of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.core.types import IntArray

Points = NDArray[np.floating]
_ROWS_AT_ONCE = 512


def neighbour_purity(
    points: Points, classes: IntArray, images: IntArray, neighbours: int | None, pools: IntArray | None = None
) -> float:
    """Share of a point's nearest neighbours in other images that are of its class, averaged over classes.

    A point looks at `neighbours` others, or at as many as there are of its class, so that 1 can be reached; points
    whose class occurs in no other image are left out.

    Args:
        points: [n, D], compared by Euclidean distance.
        classes, images: int64 [n].
        neighbours: None looks at all others: what neighbours drawn at random would give, the chance level.
        pools: int64 [n]: only points of the same pool are neighbours; None: all are.

    Returns:
        0..1; NaN where no point has a neighbour of its class.
    """
    purity = np.full(len(points), np.nan)
    for start in range(0, len(points), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        allowed = images[rows, None] != images
        if pools is not None:
            allowed &= pools[rows, None] == pools
        same = (classes[rows, None] == classes) & allowed
        distance = np.where(allowed, cdist(points[rows], points), np.inf)
        ranked = np.take_along_axis(same, np.argsort(distance, axis=1, kind="stable"), axis=1)
        available = same.sum(1)
        looked_at = allowed.sum(1) if neighbours is None else np.minimum(available, neighbours)
        hits = (ranked & (np.arange(len(points)) < looked_at[:, None])).sum(1)
        purity[rows] = np.where(available > 0, hits / np.maximum(looked_at, 1), np.nan)
    return _class_mean(purity, classes)


def _class_mean(values: NDArray[np.float64], classes: IntArray) -> float:
    known = ~np.isnan(values)
    if not known.any():
        return float("nan")
    names = np.unique(classes[known])
    return float(np.mean([values[known & (classes == name)].mean() for name in names]))


def silhouette(points: Points, classes: IntArray) -> float:
    """Mean silhouette coefficient of the classes over all points, -1..1 (Rousseeuw, 1987); NaN for a single class."""
    names, own = np.unique(classes, return_inverse=True)
    if not 1 < len(names) < len(points):
        return float("nan")
    sizes = np.bincount(own)
    members = np.eye(len(names))[own]  # [n, classes]
    sums = np.concatenate([cdist(points[row : row + 1], points) @ members for row in range(len(points))])
    rows = np.arange(len(points))
    inside = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    outside = means.min(1)
    widest = np.maximum(inside, outside)
    values = np.where((sizes[own] > 1) & (widest > 0), (outside - inside) / np.where(widest > 0, widest, 1), 0)
    return float(values.mean())


def group_precision(rows: Points, groups: IntArray) -> tuple[float, float]:
    """R-precision by cosine: of a row's R nearest, the share of its group, R being the size of the rest of that group.

    Args:
        rows: [H, D].
        groups: int64 [H]; rows alone in their group are left out.

    Returns:
        the mean, 0..1, and what a random order would give; NaN where all are alone.
    """
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    distance = cdist(unit, unit)
    np.fill_diagonal(distance, np.inf)
    same = (groups[:, None] == groups) & ~np.eye(len(rows), dtype=bool)
    wanted = same.sum(1)
    ranked = np.take_along_axis(same, np.argsort(distance, axis=1, kind="stable"), axis=1)
    hits = (ranked & (np.arange(len(rows)) < wanted[:, None])).sum(1)
    some = wanted > 0
    if not some.any():
        return float("nan"), float("nan")
    return float((hits[some] / wanted[some]).mean()), float((wanted[some] / (len(rows) - 1)).mean())
