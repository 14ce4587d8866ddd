"""Where detections stand in the ranking of their class, as integers that any block of images can compare.

Axis legend: T detections, K hits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import FloatArray, IntArray

_GROUP_SHIFT = np.uint64(32)
_SIGN = np.uint32(1 << 31)


def claiming_rows(matched: NDArray[np.int32], scores: FloatArray) -> IntArray:
    """The row that claims each matched ground truth: the one with the highest score, the first of equals; int64 [K]."""
    order = np.argsort(ranking_keys(matched, scores), kind="stable")
    first = np.diff(matched[order], prepend=-1) > 0
    return order[first]


def ranking_keys(group: NDArray[np.integer], scores: FloatArray) -> NDArray[np.uint64]:
    """Integers that rise by group (HOI class or ground truth), then as scores fall, uint64 [T]."""
    bits = (scores + np.float32(0)).view(np.uint32)  # adding 0 turns -0.0 into 0.0
    # Bit patterns of positive floats rise with the value: invert all but the sign. Those of negative ones fall already.
    falling = np.where(bits >= _SIGN, bits, bits ^ (_SIGN - np.uint32(1)))
    return (group.astype(np.uint64) << _GROUP_SHIFT) | falling


def group_of(keys: NDArray[np.uint64]) -> IntArray:
    """The group that a key was made with, int64."""
    return (keys >> _GROUP_SHIFT).astype(np.int64)


def best_of_groups(keys: NDArray[np.uint64], rows: IntArray, most: IntArray) -> IntArray:
    """Positions of the best keys of each group, equal ones in the order of their rows; by key, then row, int64.

    Args:
        keys, rows: [T], in any order.
        most: how many of each group, int64 [groups].
    """
    order = np.lexsort((rows, keys))
    group = group_of(keys[order])
    return order[np.arange(len(order)) - np.searchsorted(group, group) < most[group]]


def num_before(
    hit_key: NDArray[np.uint64],
    hit_row: IntArray,
    keys: NDArray[np.uint64],
    rows: IntArray,
    size: int,
    *,
    among: bool = True,
) -> IntArray:
    """How many detections of one block stand before each hit, int64 [K]: those of a smaller key, or of the same key in
    an earlier row.

    Args:
        hit_key: uint64 [K], ascending.
        hit_row: int64 [K], counted from the block's first row; those of other blocks are negative, or `size` and more.
        keys, rows: of the block's detections that count, rows ascending.
        size: rows of the block.
        among: the block's hits are among these detections, or none of them is.
    """
    ordered = np.sort(keys)
    counts = np.searchsorted(ordered, hit_key)
    met = np.flatnonzero(np.append(ordered, np.uint64(0))[counts] == hit_key)  # no key is 0
    upto, row = np.searchsorted(ordered, hit_key[met], side="right"), hit_row[met]
    tied = met[(row >= 0) & (row < size) & (upto - counts[met] > among)]
    later = row >= size
    counts[met[later]] = upto[later]
    if len(tied):
        same = np.flatnonzero(np.isin(keys, hit_key[tied]))
        places = np.searchsorted(hit_key, np.append(keys[same], hit_key[tied])) * size
        places += np.append(rows[same], hit_row[tied])  # key and row as one integer
        found, wanted = np.sort(places[: len(same)]), places[len(same) :]
        counts[tied] += np.searchsorted(found, wanted) - np.searchsorted(found, wanted - hit_row[tied])
    return counts
