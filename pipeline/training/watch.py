"""The figures of each step, read back without making a GPU wait: there, a step's are read when the next is queued."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.core.errors import DataError
from pipeline.training.distributed import Ranks


@dataclass(frozen=True)
class _Pending:
    iteration: int
    image_ids: list[str]  # of the whole batch
    figures: Tensor  # [ranks, F] on the host, once `arrived`
    arrived: torch.cuda.Event | None


class LossWatch:
    """Steps whose figures have not been looked at yet.

    Args:
        names: of the F figures, `BatchLoss.figures`.
        lag: steps that may be pending: 0 looks at each at once.
    """

    def __init__(self, ranks: Ranks, names: tuple[str, ...], *, lag: int) -> None:
        self._ranks, self._names, self._lag = ranks, names, lag
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
            read.append((step.iteration, self._of_batch(step.figures)))
        return read

    def _check(self, step: _Pending) -> None:
        finite = step.figures.isfinite()
        if finite.all():
            return
        # The gradient is of all ranks: where the terms of none are at fault, any image may be.
        culprits = (~finite[:, :-1]).any(1).nonzero().flatten().tolist() or range(len(finite))
        parts = [self._ranks.part(len(step.image_ids), rank) for rank in culprits]
        ids = ", ".join(name for part in parts for name in step.image_ids[part])
        raise DataError(
            f"training: loss is {self._of_batch(step.figures)} at images {ids}; "
            "lower train.learning_rate or check these images"
        )

    def _of_batch(self, figures: Tensor) -> dict[str, float]:
        """Figures [ranks, F] by name: the ranks' losses add up, while the gradient is common to them."""
        *losses, _ = figures.sum(0).tolist()
        return dict(zip(self._names, [*losses, figures[0, -1].item()], strict=True))
