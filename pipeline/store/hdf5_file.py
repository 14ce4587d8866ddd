"""HDF5 files, created so that a full disk is an error like any other, and opened so that nothing leads out of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py

from pipeline.core.errors import ArtifactError
from pipeline.store.columns import Column
from pipeline.store.file_content import content_of
from pipeline.store.files import atomic_path

_BLOCK_CHUNKS = 16  # chunks of a column written at a time
_SLACK = 1 << 20  # bytes for everything but the data itself: headers, indices, the last chunk's padding


@contextmanager
def create_hdf5(final: Path, num_bytes: int) -> Iterator[h5py.File]:
    """Yield a new file that appears as `final` when the block ends; byte-reproducible where its datasets are.

    The HDF5 library crashes the process when a write fails. So the room is taken from the disk first, where a full
    disk is an error like any other; what was not needed is given back.

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
        ArtifactError: it holds a link, or data that lies in another file: nobody's file may make us read others.
        OSError: it is damaged, or no HDF5 file; then the message says what it looks like.
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
        found = content_of(path, "hdf5")
        if found is None:
            raise
        raise OSError(found.what) from error


def write_columns(file: h5py.File, columns: Mapping[str, Column], *, chunk_rows: int) -> None:
    """Write each column as a dataset, at most 16 chunks of it in memory; its bytes don't depend on its pieces."""
    for name, column in columns.items():
        _write_column(file, name, column, chunk_rows)


def _write_column(file: h5py.File, name: str, column: Column, chunk_rows: int) -> None:
    """Write one dataset. It is closed with this function, since HDF5 places its last chunks only then."""
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
