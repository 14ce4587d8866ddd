"""Scored triplets on disk: a flat zarr v3 group with the columns of `Detections`, read block by block.

Rows are in image order, as everywhere: row order breaks ties. T triplets: `image_index` int32 [T], `hoi_id` int16 [T],
`human_boxes` and `object_boxes` float32 [T, 4], `scores` float32 [T].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError, resource_error
from pipeline.core.types import Detections
from pipeline.store.files import atomic_path

BLOCK_ROWS = 1 << 18  # 11 MB of detections
COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "image_index": ("int32", ()),
    "hoi_id": ("int16", ()),
    "human_boxes": ("float32", (4,)),
    "object_boxes": ("float32", (4,)),
    "scores": ("float32", ()),
}
ROW_BYTES = sum(np.dtype(dtype).itemsize * int(np.prod(trailing)) for dtype, trailing in COLUMNS.values())


def write_detections(path: Path, blocks: Iterable[Detections], *, block_rows: int = BLOCK_ROWS) -> None:
    """Write detections atomically, given in blocks of any size; only one is in memory at a time."""
    with atomic_path(path) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        for name, (dtype, trailing) in COLUMNS.items():
            group.create_array(name, shape=(0, *trailing), dtype=dtype, chunks=(block_rows, *trailing))
        for block in blocks:
            for name, (dtype, _) in COLUMNS.items():
                _column(group, name).append(np.asarray(getattr(block, name), dtype=dtype))


@dataclass(frozen=True)
class DetectionsDump:
    """An open dump; cheap to open, so that every worker opens its own."""

    path: Path
    columns: dict[str, zarr.Array[Any]]

    def __len__(self) -> int:
        return int(self.columns["scores"].shape[0])

    @property
    def block_rows(self) -> int:
        """Rows of a block, the unit that is read at once."""
        return int(self.columns["scores"].chunks[0])

    def blocks(self) -> Iterator[slice]:
        """Row ranges of the blocks, in order."""
        for low in range(0, len(self), self.block_rows):
            yield slice(low, min(low + self.block_rows, len(self)))

    def read_column(self, name: str, rows: slice) -> NDArray[Any]:
        """Some rows of one column."""
        return np.asarray(self.columns[name][rows])

    def read(self, rows: slice | None = None) -> Detections:
        """Some rows, or all."""
        rows = slice(0, len(self)) if rows is None else rows
        return Detections(**{name: self.read_column(name, rows) for name in COLUMNS})


def open_detections(path: Path) -> DetectionsDump:
    """Open a dump.

    Raises:
        ArtifactError: missing, damaged, or not such a dump.
    """
    try:
        group = zarr.open_group(path, mode="r", zarr_format=3)
        dump = DetectionsDump(path, {name: _column(group, name) for name in COLUMNS})
    except (KeyError, ValueError, OSError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise resource_error(error) or ArtifactError(
            f"{path}: no detections in zarr v3 ({reason}); write it with write_detections"
        ) from None
    for name, (dtype, trailing) in COLUMNS.items():
        found = dump.columns[name]
        if found.dtype != np.dtype(dtype) or found.shape != (len(dump), *trailing):
            raise ArtifactError(
                f"{path}: {name} is {found.dtype} {found.shape}, expected {dtype} {(len(dump), *trailing)}"
            )
    return dump


def _column(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise TypeError(f"{name} is a group, expected an array")
    return array
