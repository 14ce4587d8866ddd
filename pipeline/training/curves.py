"""Curves of a run for TensorBoard, where `execution.tensorboard` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.errors import needs_extra


@contextmanager
def tensorboard_curves(folder: Path | None) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Yield what takes the figures of every iteration and writes them into `folder`, a curve each; None: nowhere.

    Where a resumed run writes again, what the stopped one wrote of later iterations is left out.

    Raises:
        ParamError: the package tensorboard is not installed.
    """
    if folder is None:
        yield lambda figures: None
        return
    needed_by = "execution.tensorboard: true"
    with needs_extra("tensorboard", "tensorboard", needed_by, otherwise=", or set it to false"):
        from torch.utils.tensorboard import SummaryWriter
    writer: SummaryWriter | None = None

    def write(figures: Mapping[str, float]) -> None:
        nonlocal writer
        iteration = int(figures["iteration"])
        if writer is None:
            writer = SummaryWriter(str(folder), purge_step=iteration)
        for name, value in figures.items():
            if name != "iteration":
                writer.add_scalar(name, value, iteration)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
