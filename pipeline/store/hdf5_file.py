"""Tables in HDF5: a full disk is an ordinary error when writing, and no link out of the file is followed when reading.

Files are byte-reproducible: no timestamps, fixed order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.core import texts
from pipeline.core.arrays import Form
from pipeline.core.errors import ArtifactError, resource_error
from pipeline.store.file_content import content_of
from pipeline.store.files import atomic_path
from pipeline.store.ragged import Column, Table

_BLOCK_CHUNKS = 16  # chunks of a column written at a time
_SLACK = 1 << 20  # bytes for everything but the data itself: headers, indices, the last chunk's padding


@contextmanager
def create_hdf5(final: Path, num_bytes: int) -> Iterator[h5py.File]:
    """Yield a new file that appears as `final` when the block ends; byte-reproducible where its datasets are.

    The HDF5 library crashes the process when a write fails. So the space is reserved first, where a full disk is an
    ordinary error; what was not needed is given back.

    Args:
        num_bytes: size of the arrays that will be written.

    Raises:
        ArtifactError: no room, or the folder cannot be written.
    """
    room = num_bytes + num_bytes // 16 + _SLACK
    with atomic_path(final) as temporary:
        with temporary.open("wb") as stream:  # HDF5's own header needs room already
            os.posix_fallocate(stream.fileno(), 0, room)
        with h5py.File(temporary, "w", libver="latest", track_order=False) as file:
            os.posix_fallocate(file.id.get_vfd_handle(), 0, room)
            yield file
            file.flush()
            size = file.id.get_filesize()
        os.truncate(temporary, size)


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield a file opened for reading.

    Raises:
        ArtifactError: it holds a link, or its data is in another file: a file may not make us read other files.
        OSError: it is damaged, or no HDF5 file; the message says what it looks like.
    """
    with _opened(path) as file:
        for name in file:
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise ArtifactError(f"{path}: {name} is a link to elsewhere; expected plain datasets only")
            if isinstance(file[name], h5py.Dataset) and (file[name].external or file[name].is_virtual):
                raise ArtifactError(f"{path}: {name} keeps its data in another file; expected plain datasets only")
        yield file


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        found = None if resource_error(error) else content_of(path, "hdf5")
        if found is None:
            raise
        raise OSError(found.what) from error


def read_columns(file: h5py.File, forms: Mapping[str, Form], images: int = 0) -> dict[str, NDArray[Any]]:
    """Read the datasets of a table; numbers of another width are converted, since others may have written the file.

    Raises:
        DataError: as `Table.of`.
        KeyError, TypeError: no such dataset.
    """
    _check_datasets(file, forms)
    return Table.of(file, forms, images, convertible=True).read()


def open_columns(path: Path, file: h5py.File, forms: Mapping[str, Form], images: int) -> Table:
    """The table of an open file; of many images, it is read by ranges after the file is closed.

    Raises:
        DataError, KeyError, TypeError: as `read_columns`.
    """
    _check_datasets(file, forms)
    many = images > texts.MANY
    columns = {name: StoredColumn.of(path, file[name]) for name in forms} if many else file
    return Table.of(columns, forms, images, convertible=True)


def _check_datasets(file: h5py.File, names: Iterable[str]) -> None:
    for name in names:
        if not isinstance(file[name], h5py.Dataset):
            raise TypeError(f"{name} is no dataset")


@dataclass(frozen=True)
class StoredColumn:
    """A dataset of a file that is read by ranges; each process opens the file for itself.

    `stamp` tells the file from one that has replaced it since.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: Path, dataset: h5py.Dataset) -> StoredColumn:
        """A dataset of the open file at `path`."""
        status = path.stat()
        name = dataset.name.lstrip("/")
        return cls(path, name, dataset.shape, dataset.dtype, (status.st_ino, status.st_mtime_ns))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        found: NDArray[Any] = _dataset(self, os.getpid())[rows]
        return found


@lru_cache(maxsize=64)
def _dataset(column: StoredColumn, process: int) -> h5py.Dataset:
    return h5py.File(column.path, "r")[column.name]


def read_texts(holder: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Read a list of texts from a dataset or an attribute, in any form that h5py writes.

    Raises:
        KeyError, TypeError, UnicodeDecodeError: it is absent, or no list of texts.
    """
    values = holder[name]
    array = np.asarray(values[()] if isinstance(values, h5py.Dataset) else values)
    items = array.tolist()
    if not isinstance(items, list) or not all(isinstance(item, str | bytes) for item in items):
        raise TypeError(f"{name} is {array.dtype} {list(array.shape)}, expected a list of texts")
    return tuple(item if isinstance(item, str) else item.decode() for item in items)


def read_many_texts(path: Path, file: h5py.File, name: str) -> Sequence[str]:
    """Read a list of texts as `read_texts`; many, of a fixed width, are read by ranges after the file is closed."""
    array = file[name]
    if isinstance(array, h5py.Dataset) and array.dtype.kind == "S" and array.ndim == 1 and len(array) > texts.MANY:
        return texts.Texts(StoredColumn.of(path, array))
    return read_texts(file, name)


def read_text(file: h5py.File, name: str) -> str:
    """Read an attribute that is one text; errors as `read_texts`."""
    return read_texts({name: [file.attrs[name]]}, name)[0]


def encode_strings(names: Sequence[str]) -> NDArray[np.bytes_]:
    """Return names as fixed-width UTF-8 bytes."""
    if isinstance(names, texts.Texts):
        return np.concatenate([np.zeros(0, "S1"), *names.blocks()])
    return np.array([name.encode() for name in names], dtype=np.bytes_) if names else np.zeros(0, "S1")


def write_hdf5(
    path: Path, columns: Mapping[str, Column | NDArray[Any]], *, attributes: Mapping[str, Any], chunk_rows: int
) -> None:
    """Write a table atomically, at most 16 chunks of a column in memory; pieces of columns do not change its bytes."""
    ready = {name: Column.of(column) for name, column in columns.items()}
    with create_hdf5(path, sum(column.nbytes for column in ready.values())) as file:
        file.attrs.update(attributes)
        for name, column in ready.items():
            write_column(file, name, column, chunk_rows)


def write_column(file: h5py.File, name: str, column: Column, chunk_rows: int) -> None:
    """Write one dataset, and close it: HDF5 writes the last chunks only then."""
    chunks = (min(chunk_rows, len(column)), *column.shape[1:]) if column.size else None
    target = file.create_dataset(
        name,
        shape=column.shape,
        dtype=column.dtype,
        chunks=chunks,
        track_times=False,
        fletcher32=chunks is not None,
    )
    for start, block in column.blocks(chunk_rows * _BLOCK_CHUNKS):
        target[start : start + len(block)] = block
