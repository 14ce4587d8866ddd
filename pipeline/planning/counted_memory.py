"""Bytes of the tensors that are alive while code runs, counted without computing: on tensors that have shapes alone.

Operations on such tensors make others of the right shape. Small tensors may have numbers (who is paired with whom, a
box), since shapes depend on them. What libraries take for themselves (a convolution's workspace, an allocator's gaps,
CUDA's context) is no tensor and is not counted.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

_MOST_NUMBERS = 4 * 2**20  # bytes of a tensor whose numbers are kept


class Shapes:
    """Makes tensors that have shapes, and no numbers."""

    def __init__(self) -> None:
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of this shape, on the CPU."""
        with self._mode:
            return torch.empty(shape, dtype=dtype, device="cpu")

    def like(self, tensor: Tensor) -> Tensor:
        """A tensor of the same shape, on the CPU."""
        with self._mode:
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")

    def place(self, module: nn.Module) -> None:
        """Put a module that was built on the device "meta" among these tensors, in place; what is real stays."""
        placed: dict[Tensor, Tensor] = {}
        for part in module.modules():
            tables: tuple[dict[str, Any], ...] = (part._parameters, part._buffers, vars(part))
            for tensors in tables:
                for name, tensor in tensors.items():
                    if isinstance(tensor, Tensor) and tensor.device.type == "meta":
                        tensors[name] = placed.setdefault(tensor, self._moved(tensor))

    def _moved(self, tensor: Tensor) -> Tensor:
        made = self.like(tensor)
        return nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made


class MemoryCount(TorchDispatchMode):
    """Counts what operations inside it make, each storage once, until the last tensor that needs it is gone.

    A large result loses its numbers, so that nothing large is ever computed. Where the number of results depends on
    numbers that are not there ("which rows are not zero"), the most that it can be is taken.

    Args:
        shapes: that the tensors are of.
        there: tensors that are there already.

    Attributes:
        held: bytes alive now.
        peak: the most so far.
    """

    def __init__(self, shapes: Shapes, *there: Iterable[Tensor]) -> None:
        super().__init__()
        self.held = self.peak = 0
        self._shapes = shapes
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        for tensors in there:
            for tensor in tensors:
                self._add(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it makes."""
        try:
            made = func(*args, **(kwargs or {}))
        except DynamicOutputShapeException:
            if func is not torch.ops.aten.nonzero.default:
                raise
            made = self._shapes.empty(args[0].numel(), args[0].ndim, dtype=torch.int64)
        return tree_map_only(Tensor, self._counted, made)

    def _counted(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, FakeTensor) and tensor.untyped_storage().nbytes() > _MOST_NUMBERS:
            tensor = self._shapes.like(tensor)
        self._add(tensor)
        return tensor

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            self._known.add(storage)
            self.held += storage.nbytes()
            self.peak = max(self.peak, self.held)
            weakref.finalize(storage, self._remove, storage.nbytes())

    def _remove(self, size: int) -> None:
        self.held -= size
