"""Columns to HDF5 datasets, byte-reproducible: no timestamps, fixed order, a checksum on every chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py

from pipeline.store.columns import Column
from pipeline.store.files import atomic_path

_BLOCK_CHUNKS = 16  # chunks written at a time


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """Yield a new file that appears under its name once it is whole."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w", libver="latest", track_order=False) as file:
        yield file


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
