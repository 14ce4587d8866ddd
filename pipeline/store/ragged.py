"""Ragged tables: named columns whose rows belong to images, as proposals, dumps and the like keep them on disk.

The rows of all images are in one array, image after image; offsets int64 [I + 1] cut it (CSR). A file's forms say
which offsets cut which rows (`core/arrays.py`); whatever is read, from HDF5 or zarr, is checked against them. Values
are checked by the module of the file format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Form, check_forms
from pipeline.core.errors import ArtifactError, DataError, resource_error
from pipeline.core.texts import Texts
from pipeline.core.types import IntArray

_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, OSError, RuntimeError, DataError)


def offsets_of(counts: NDArray[np.integer]) -> IntArray:
    """Return offsets [I + 1] of per-image counts [I]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def row_owner(offsets: IntArray) -> IntArray:
    """Return the image of every row, int64 [offsets[-1]]."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


@dataclass(frozen=True)
class Column:
    """An array [rows, *] to be written, not all in memory; `pieces()` yields it in order, cut by rows anywhere."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pieces: Callable[[], Iterable[NDArray[Any]]]

    @classmethod
    def of(cls, array: Column | NDArray[Any]) -> Column:
        """A column of an array in memory; a column is itself."""
        return array if isinstance(array, Column) else cls(array.shape, array.dtype, lambda: (array,))

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
        """Yield (first row, array) of `rows` rows each, fewer in the last; holds one block and one piece."""
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
        """Return the whole column in memory."""
        return np.concatenate([np.zeros((0, *self.shape[1:]), self.dtype), *self.pieces()])


def _joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


@dataclass(frozen=True)
class Table:
    """Columns of `images` images that fit together, in a file or in memory; made by `of`, which checks them."""

    arrays: Any
    forms: Mapping[str, Form]
    images: int
    offsets: Mapping[str, IntArray]

    @classmethod
    def of(cls, arrays: Any, forms: Mapping[str, Form], images: int, *, convertible: bool = False) -> Table:
        """Check types, shapes and offsets; only offsets are read.

        Args:
            arrays: by name; anything that can be sliced and has a dtype and a shape.
            convertible: as `check_forms`; columns are read as what `forms` says.

        Raises:
            DataError: arrays of another form, or offsets that do not start at 0, fall, or end elsewhere than rows do.
        """
        cutting = {name: form for name, form in forms.items() if form.cuts}
        sizes = check_forms(arrays, cutting, {"I": images, "I + 1": images + 1}, convertible=convertible)
        offsets = {name: _read(arrays[name], form) for name, form in cutting.items()}
        for name, cuts in offsets.items():
            _check_offsets(name, cuts)
            sizes[forms[name].cuts] = int(cuts[-1])
        check_forms(arrays, forms, sizes, convertible=convertible)
        return cls(arrays, forms, images, offsets)

    def column(self, name: str) -> NDArray[Any]:
        """One whole column."""
        return _read(self.arrays[name], self.forms[name])

    def read(self, start: int = 0, stop: int | None = None) -> dict[str, NDArray[Any]]:
        """Columns of the images start..stop-1, to the last by default, by name; offsets count from their first row."""
        stop = self.images if stop is None else stop
        rows = {"I": slice(start, stop)}
        found = {}
        for name, cuts in self.offsets.items():
            rows[self.forms[name].cuts] = slice(int(cuts[start]), int(cuts[stop]))
            found[name] = cuts[start : stop + 1] - cuts[start]
        others = {name: form for name, form in self.forms.items() if not form.cuts}
        return found | {
            name: _read(self.arrays[name], form, rows.get(str(form.axes[0]), slice(None)))
            for name, form in others.items()
        }


def _read(array: Any, form: Form, rows: slice = slice(None)) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(array[rows])
    with np.errstate(over="ignore"):  # overflow becomes infinite, which the file's own checks refuse
        return values if form.dtype is np.floating else values.astype(form.dtype, copy=False)


def _check_offsets(name: str, cuts: IntArray) -> None:
    if cuts[0] != 0:
        raise DataError(f"{name} begins at {cuts[0]}, expected 0")
    falls = np.flatnonzero(np.diff(cuts) < 0)
    if len(falls):
        image = int(falls[0])
        raise DataError(f"{name} falls from {cuts[image]} to {cuts[image + 1]} at image {image}; expected none to fall")


@contextmanager
def reading(path: Path, what: str, remedy: str) -> Iterator[None]:
    """Turn errors of a library, or of a check, on a damaged artifact into one line.

    Args:
        what: for the message, such as "not a prediction dump".
        remedy: what to do if the artifact is missing or damaged.

    Raises:
        ArtifactError: missing or damaged.
        ResourceError: memory or disk ran out.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; {remedy}")
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise resource_error(error) or ArtifactError(f"{path}: damaged or {what} ({reason}); {remedy}") from None


def check_made_for(path: Path, what: str, found: Any, expected: Any, remedy: str) -> None:
    """Refuse an artifact that was made for other images, classes or runs than those that will use it.

    Args:
        what: is compared, such as "images"; for the message.
        found, expected: a tuple of names in order, a number of them, or one name; None expects nothing.

    Raises:
        ArtifactError: names the first difference.
    """
    if expected is None or found == expected:
        return
    if isinstance(found, tuple | Texts) and len(found) == len(expected):
        row = next(row for row, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
        detail = f'{what} row {row} is "{found[row]}", expected "{expected[row]}"'
    elif isinstance(found, str):
        detail = f'{what} is "{found}", expected "{expected}"'
    else:
        found, expected = (len(value) if isinstance(value, tuple | Texts) else value for value in (found, expected))
        detail = f"has {found} {what}, expected {expected}"
    raise ArtifactError(f"{path}: {detail}; it was made from other inputs: {remedy}")
