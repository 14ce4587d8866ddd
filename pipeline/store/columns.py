"""Columns: arrays of known shape whose rows need not be in memory, read piece by piece when they are written out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """An array [rows, *]; `pieces()` yields it in order, cut along its first axis anywhere."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pieces: Callable[[], Iterable[NDArray[Any]]]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Column:
        """A column that is in memory."""
        return cls(array.shape, array.dtype, lambda: (array,))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    def blocks(self, rows: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (first row, array) of `rows` rows each, the last one of what is left; holds one block and one piece."""
        start, waiting, held = 0, [], 0
        for piece in self.pieces():
            while len(piece):
                taken, piece = piece[: rows - held], piece[rows - held :]
                waiting.append(taken)
                held += len(taken)
                if held == rows:
                    yield start, _joined(waiting)
                    start, waiting, held = start + rows, [], 0
        if held:
            yield start, _joined(waiting)

    def read(self) -> NDArray[Any]:
        """Return the whole in memory."""
        return np.concatenate([np.zeros((0, *self.shape[1:]), self.dtype), *self.pieces()])


def _joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
