"""What all zarr v3 groups of this project share: arrays that are whole, and damage as one line.

zarr takes an absent chunk for zeros. Here every chunk (every shard, where an array has shards) is a file with content,
one of zeros too, so that a lost file is noticed; writers set `write_empty_chunks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from pipeline.core.errors import ArtifactError, DataError, resource_error

WRITE_ZEROS: Any = {"write_empty_chunks": True}  # the `config` of every array that is written
_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, OSError, RuntimeError, DataError)


@contextmanager
def reading_zarr(path: Path, what: str, remedy: str) -> Iterator[None]:
    """Turn what zarr, or a check, raises on a damaged group into one line.

    Raises:
        ArtifactError: says that `path` is damaged or `what` ("not a ..."), and with `remedy` what to do.
        ResourceError: memory or disk ran out.
    """
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise resource_error(error) or ArtifactError(f"{path}: damaged or {what} ({reason}); {remedy}") from None


def open_whole_array(path: Path, group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Open one array of the group at `path`, of which no file is absent or empty.

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
    if found < int(np.prod(counts)):  # before any is looked for by name: a damaged shape may ask for billions
        raise ValueError(f"{name} has {found} chunks, expected {int(np.prod(counts))}: files are lost or empty")
    for place in np.ndindex(*counts):
        file = folder / array.metadata.encode_chunk_key(place)
        if not file.is_file() or not file.stat().st_size:
            raise ValueError(f"{name}: {file.relative_to(folder)} is lost or empty")
    return array
