"""The level at which the loss of a run moves, to notice the steps that are far above it."""

from __future__ import annotations

from collections import deque
from statistics import median

_WINDOW = 32  # steps, whose median is the level: a few outliers don't move it, a loss that diverges does
_FEWEST = 8  # steps before there is a level
_FAR = 10.0  # times the level; a run that has nearly converged jumps by 6 without a fault


class LossLevel:
    """Median of the latest losses."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=_WINDOW)

    def far_below(self, loss: float) -> float | None:
        """Take the loss of the next step; return the level of those before where it is far below, else None."""
        level = median(self._latest) if len(self._latest) >= _FEWEST else None
        self._latest.append(loss)
        return level if level is not None and loss > _FAR * level else None
