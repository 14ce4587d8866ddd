"""Expected types and shapes of named arrays, where a letter stands for the same size in all of them; rows in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from pipeline.core.errors import DataError

_BLOCK_ROWS = 1 << 14  # of boxes: what is computed of them on the way stays in the processor's cache


def row_blocks(num_rows: int) -> Iterator[slice]:
    """Cut rows into blocks, for arithmetic over millions of them that would wait for memory."""
    return (slice(low, min(low + _BLOCK_ROWS, num_rows)) for low in range(0, num_rows, _BLOCK_ROWS))


class Form(NamedTuple):
    """Expected type and shape of one array.

    Attributes:
        dtype: such as `np.float32`, or `np.floating` for floats of any width.
        axes: the size of each, or a letter: one size in all arrays that are checked together.
        cuts: for offsets ("I + 1",) only: the letter of the axis whose rows they cut by image.
    """

    dtype: type[np.generic]
    axes: tuple[int | str, ...]
    cuts: str = ""


def check_forms(
    arrays: Any, forms: Mapping[str, Form], sizes: Mapping[str, int] | None = None, *, convertible: bool = False
) -> dict[str, int]:
    """Check types and shapes of named arrays, or of whatever has a dtype and a shape.

    Args:
        sizes: of letters that are known; another letter gets the size of the first axis that has it.
        convertible: also accept numbers of another width, and integers for floats.

    Returns:
        The size of every letter.

    Raises:
        DataError: an array is of another form; names it with what was found and expected.
    """
    known = dict(sizes or {})
    for name, form in forms.items():
        array = arrays[name]
        shape = tuple(array.shape or ())
        if not (_is_of(array.dtype, form.dtype, convertible) and _fits(shape, form.axes, known)):
            axes = [f"{axis} = {known[str(axis)]}" if axis in known else str(axis) for axis in form.axes]
            raise DataError(
                f"{name} is {array.dtype} {list(shape)}; expected {form.dtype.__name__} [{', '.join(axes)}]"
            )
        known |= {axis: size for axis, size in zip(form.axes, shape, strict=True) if isinstance(axis, str)}
    return known


def _is_of(found: np.dtype[Any], wanted: type[np.generic], convertible: bool) -> bool:
    if convertible and not issubclass(wanted, np.bytes_):
        return found.kind in ("iu" if issubclass(wanted, np.integer) else "fiu")
    return np.issubdtype(found, wanted)


def _fits(shape: tuple[int, ...], axes: tuple[int | str, ...], known: Mapping[str, int]) -> bool:
    wanted = [known.get(str(axis), axis) for axis in axes]
    return len(shape) == len(axes) and all(isinstance(b, str) or a == b for a, b in zip(shape, wanted, strict=True))
