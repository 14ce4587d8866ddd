"""Losses and gradient norm of each step; on a GPU they are read one step later, so that the host does not wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from pipeline.core.errors import DataError
from pipeline.training.distributed import Ranks

_WINDOW = 32  # steps, whose median is the level: a few outliers don't move it, a loss that diverges does
_FEWEST = 8  # steps before there is a level
_FAR = 10.0  # times the level; a run that has nearly converged jumps by 6 without a fault
_MOST_TOLD = 5  # steps of a run; a loss that jumps more often is visible in the log


class LossLevel:
    """Median of the latest losses, to notice the steps whose loss is far above it."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=_WINDOW)

    def far_below(self, loss: float) -> float | None:
        """Take the loss of the next step; return the level of those before where it is far below, else None."""
        level = median(self._latest) if len(self._latest) >= _FEWEST else None
        self._latest.append(loss)
        return level if level is not None and loss > _FAR * level else None


@dataclass(frozen=True)
class _Pending:
    iteration: int
    image_ids: list[str]  # of the whole batch
    figures: Tensor  # [ranks, F] on the host, once `arrived`
    arrived: torch.cuda.Event | None


class LossWatch:
    """Checks the figures of each step, and keeps those that have not been read yet.

    Args:
        names: of the F figures, `BatchLoss.figures`.
        lag: steps that may wait to be read; 0 reads each at once.
        tell: called, on the rank that writes, with a line on each step whose loss is far above the steps before.
    """

    def __init__(
        self, ranks: Ranks, names: tuple[str, ...], *, lag: int, tell: Callable[[str], None] | None = None
    ) -> None:
        self._ranks, self._names, self._lag, self._tell = ranks, names, lag, tell
        self._level, self._told = LossLevel(), 0
        self._pending: deque[_Pending] = deque()

    def add(self, iteration: int, image_ids: list[str], figures: Tensor) -> list[tuple[int, dict[str, float]]]:
        """Take a step's figures, float32 [F], with the ids of the whole batch; return those due, as `drain` does."""
        rows = self._ranks.gather(figures)
        arrived = None
        if rows.is_cuda:
            rows = rows.to("cpu", non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
        self._pending.append(_Pending(iteration, image_ids, rows, arrived))
        return self._read(self._lag)

    def drain(self) -> list[tuple[int, dict[str, float]]]:
        """Return (iteration, figures of the whole batch) of all pending steps, in order.

        Raises:
            DataError: a loss or the gradient is not finite (names the images; on every rank the same).
        """
        return self._read(0)

    def _read(self, left: int) -> list[tuple[int, dict[str, float]]]:
        read = []
        while len(self._pending) > left:
            step = self._pending.popleft()
            if step.arrived is not None:
                step.arrived.synchronize()
            self._check(step)
            self._notice_jump(step)
            read.append((step.iteration, self._of_batch(step.figures)))
        return read

    def _check(self, step: _Pending) -> None:
        finite = step.figures.isfinite()
        if finite.all():
            return
        # The gradient is of all ranks: where the terms of none are at fault, any image may be.
        culprits = (~finite[:, :-1]).any(1).nonzero().flatten().tolist() or range(len(finite))
        raise DataError(
            f"training: loss is {self._of_batch(step.figures)} at images {self._image_ids(step, culprits)}; "
            "lower train.learning_rate or check these images"
        )

    def _notice_jump(self, step: _Pending) -> None:
        losses = step.figures[:, 0]
        loss = losses.sum().item()
        level = self._level.far_below(loss)
        if level is None or self._tell is None or self._told == _MOST_TOLD or not self._ranks.writes:
            return
        self._told += 1
        self._tell(
            f"Warning: loss {loss:.4g} in iteration {step.iteration}, {level:.4g} before, at images "
            f"{self._image_ids(step, [int(losses.argmax())])}; check their proposals, or lower train.learning_rate"
            + (" (no more of these warnings in this run)" if self._told == _MOST_TOLD else "")
        )

    def _image_ids(self, step: _Pending, ranks: Iterable[int]) -> str:
        parts = [self._ranks.part(len(step.image_ids), rank) for rank in ranks]
        return ", ".join(name for part in parts for name in step.image_ids[part])

    def _of_batch(self, figures: Tensor) -> dict[str, float]:
        """Figures [ranks, F] by name: the ranks' losses add up, while the gradient is common to them."""
        *losses, _ = figures.sum(0).tolist()
        return dict(zip(self._names, [*losses, figures[0, -1].item()], strict=True))
