"""Sorts detections by class, then by falling score, ties in image order, then in row order.

The score's bits and the row number share one 64-bit integer, so that an unstable sort gives a stable order; a radix
sort by 16-bit class follows. `np.lexsort` on scores takes several times longer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGN = np.uint32(1 << 31)


def sort_detections(
    class_id: NDArray[Any], scores: NDArray[np.floating], image_index: NDArray[np.integer] | None = None
) -> NDArray[np.int64]:
    """Order of rows by class, then falling score; ties in image order, then in row order.

    Args:
        class_id: integer [T], at least 0; 16-bit integers sort fastest.
        scores: float [T] without NaN, any sign.
        image_index: integer [T], at least 0; None breaks ties by row order alone.

    Returns:
        int64 [T]: row numbers.
    """
    if image_index is None or (image_index[1:] >= image_index[:-1]).all():
        order = _falling_scores(scores)
    else:
        narrow = np.min_scalar_type(int(image_index.max()))  # 16 bits, where they do, sort by radix
        by_image = np.argsort(image_index.astype(narrow), kind="stable")
        order = by_image[_falling_scores(scores[by_image])]
    return order[np.argsort(class_id[order], kind="stable")]


def _falling_scores(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Stable order by falling score, int64 [T]."""
    if scores.dtype == np.float64 or len(scores) > np.iinfo(np.uint32).max:
        return np.argsort(-scores, kind="stable")
    keys = falling_keys(scores.astype(np.float32, copy=False)).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(len(scores), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(np.iinfo(np.uint32).max)
    return keys.view(np.int64)


def falling_keys(scores: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Unsigned integers that rise as scores fall, uint32 [T]; equal exactly where scores are equal."""
    bits = (scores + np.float32(0)).view(np.uint32)  # adding 0 turns -0.0 into 0.0
    negative = bits >= _SIGN
    # Bit patterns of positive floats rise with the value: invert all but the sign. Those of negative ones fall already.
    return np.where(negative, bits, bits ^ (_SIGN - np.uint32(1)))
