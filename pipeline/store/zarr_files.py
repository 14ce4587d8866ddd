"""Tables as zarr v3 groups in which a lost file is noticed.

zarr reads a missing chunk as zeros. So here every chunk (or shard) is a file, also one of zeros: writers set
`write_empty_chunks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.store.files import atomic_path
from pipeline.store.ragged import Column

WRITE_ZEROS: Any = {"write_empty_chunks": True}  # the `config` of every array that is written
SHARD_CHUNKS = 16


def open_whole_array(path: Path, group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Open one array of the group at `path`, after a check that no file is missing or empty.

    Raises:
        ValueError: it is no array, or a file is lost.
    """
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{name} is a group, expected an array")
    stored = array.shards or array.chunks
    counts = [-(-size // rows) for size, rows in zip(array.shape, stored, strict=True)]
    folder = path / name
    found = sum(1 for file in folder.rglob("*") if file.name != "zarr.json" and file.is_file() and file.stat().st_size)
    if found < int(np.prod(counts)):  # first, since a damaged shape may ask for billions of names
        raise ValueError(f"{name} has {found} chunks, expected {int(np.prod(counts))}: files are lost or empty")
    for place in np.ndindex(*counts):
        file = folder / array.metadata.encode_chunk_key(place)
        if not file.is_file() or not file.stat().st_size:
            raise ValueError(f"{name}: {file.relative_to(folder)} is lost or empty")
    return array


def write_zarr(
    path: Path,
    columns: Mapping[str, Column | NDArray[Any]],
    *,
    attributes: Mapping[str, Any],
    chunk_rows: int,
    compressed: bool = True,
) -> None:
    """Write a table atomically as one group, a shard of one array in memory at a time."""
    with atomic_path(path) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        group.attrs.update(attributes)
        for name, column in columns.items():
            _write_column(group, name, Column.of(column), chunk_rows, compressed)


def _write_column(group: zarr.Group, name: str, column: Column, chunk_rows: int, compressed: bool) -> None:
    rows = max(1, min(chunk_rows, len(column)))
    trailing = column.shape[1:]
    chunks = -(-len(column) // rows) if column.size else 1
    shard_rows = rows * min(chunks, SHARD_CHUNKS)
    target = group.create_array(
        name,
        shape=column.shape,
        dtype=column.dtype,
        chunks=(rows, *trailing),
        shards=(shard_rows, *trailing),
        compressors="auto" if compressed else None,
        config=WRITE_ZEROS,
    )
    if column.size:
        for start, block in column.blocks(shard_rows):
            target[start : start + len(block)] = block
