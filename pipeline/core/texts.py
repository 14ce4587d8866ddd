"""Many texts as a column of UTF-8 bytes, so that a million image ids are no million objects of Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

MANY = 50_000  # images: a split of more is kept in columns that are read by ranges
_AT_ONCE = 1 << 16


class Texts(Sequence[str]):
    """Texts as a tuple would hold them, in an array of bytes or a column of a file that is read by ranges.

    Args:
        column: [n] of UTF-8 bytes, anything that has a length and can be sliced.
    """

    def __init__(self, column: Any) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Texts: ...
    def __getitem__(self, row: int | slice) -> str | Texts:
        if isinstance(row, slice):
            return Texts(self._column[row])
        row = range(len(self))[row]
        found: bytes = self._column[row : row + 1][0]
        return found.decode()

    def __iter__(self) -> Iterator[str]:
        return (text.decode() for block in self.blocks() for text in block.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        if not isinstance(other, Texts):
            return all(mine == theirs for mine, theirs in zip(self, other, strict=True))
        return all(bool((mine == theirs).all()) for mine, theirs in zip(self.blocks(), other.blocks(), strict=True))

    __hash__ = None  # type: ignore[assignment] # as of a list

    def blocks(self) -> Iterator[NDArray[np.bytes_]]:
        """Yield all bytes, some texts at once."""
        return (np.asarray(self._column[low : low + _AT_ONCE]) for low in range(0, len(self), _AT_ONCE))
