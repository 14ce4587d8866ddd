"""Refuses ids and indices that are out of range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError


def check_range(values: NDArray[np.integer], size: int, where: str, what: str) -> None:
    """Refuse values outside 0..size-1.

    Raises:
        DataError: names the first bad row.
    """
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= size):
        row = int(np.flatnonzero((values < 0) | (values >= size))[0])
        raise DataError(f"{where} {values[row]} in row {row} is out of range; expected 0..{size - 1} ({size} {what})")
