"""What to change where a training step runs out of memory: names of settings, and values for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.config.params import ExecutionParams
from pipeline.core.errors import NoMemoryError, resource_error
from pipeline.methods.base import Method
from pipeline.training.params import TrainParams


@contextmanager
def memory_explained(method: Method, params: TrainParams, execution: ExecutionParams, *, share: int) -> Iterator[None]:
    """Raise what a step raises, with what to change where memory ran out, on the CPU or a GPU.

    Args:
        share: images of a rank's share of a batch.

    Raises:
        NoMemoryError: one line that names the settings.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        known = resource_error(error)
        if not isinstance(known, NoMemoryError):
            raise
        raise NoMemoryError(str(known), _remedy(method, params, execution, share)) from error


def _remedy(method: Method, params: TrainParams, execution: ExecutionParams, share: int) -> str:
    """What keeps the results comes first."""
    same, other = [], []
    if params.freeze_batch_norm:
        at_once = min(execution.micro_batch or share, share)
        if at_once > 1 and not method.couples_images:
            same.append(f"execution.micro_batch to {at_once // 2} (now {at_once} images at once)")
        if not execution.gradient_checkpointing:
            same.append("execution.gradient_checkpointing to true")
    if method.needs_proposals and params.max_proposals > 2:
        fewer = max(2, params.max_proposals * 2 // 3)
        other.append(f"train.max_proposals to {fewer} (now {params.max_proposals}), which has about half of the pairs")
    if not same and params.batch_size > 1:
        other.append(f"train.batch_size to {params.batch_size // 2} (now {params.batch_size})")
    found = [f"set {' or '.join(same)}, with the same results"] if same else []
    found += [f"set {' or '.join(other)}, with other results"] if other else []
    return ", or ".join(found) or "take a machine with more memory"
