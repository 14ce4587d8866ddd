"""Scored triplets on disk: a flat zarr v3 group with the columns of `Detections`, read block by block.

Rows are in image order, as everywhere: row order breaks ties. T triplets: `image_index` int32 [T], `hoi_id` int16 [T],
`human_boxes` and `object_boxes` float32 [T, 4], `scores` float32 [T]. Chunks are written with a checksum (crc32c), so
that a flipped bit is noticed; groups without it are read as well, their values unchecked. Links are not followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from pipeline.core.arrays import Form, check_forms
from pipeline.core.types import Detections
from pipeline.store.files import atomic_path, refuse_links
from pipeline.store.ragged import reading
from pipeline.store.zarr_files import WRITE_ZEROS, open_whole_array

BLOCK_ROWS = 1 << 18  # 11 MB of detections
COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "image_index": ("int32", ()),
    "hoi_id": ("int16", ()),
    "human_boxes": ("float32", (4,)),
    "object_boxes": ("float32", (4,)),
    "scores": ("float32", ()),
}
_WHAT, _REMEDY = "no detections in zarr v3", "check the path, copy it again, or write it with write_detections"
ROW_BYTES = sum(np.dtype(dtype).itemsize * int(np.prod(trailing)) for dtype, trailing in COLUMNS.values())


def write_detections(path: Path, blocks: Iterable[Detections], *, block_rows: int = BLOCK_ROWS) -> None:
    """Write detections atomically, given in blocks of any size; only one is in memory at a time."""
    with atomic_path(path) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        columns = {
            name: group.create_array(
                name,
                shape=(0, *trailing),
                dtype=dtype,
                chunks=(block_rows, *trailing),
                compressors=(ZstdCodec(level=0), Crc32cCodec()),
                config=WRITE_ZEROS,
            )
            for name, (dtype, trailing) in COLUMNS.items()
        }
        for block in blocks:
            for name, (dtype, _) in COLUMNS.items():
                columns[name].append(np.asarray(getattr(block, name), dtype=dtype))


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
        """Some rows of one column.

        Raises:
            ArtifactError: damaged.
        """
        with reading(self.path, _WHAT, _REMEDY):
            return np.asarray(self.columns[name][rows])

    def read(self, rows: slice | None = None) -> Detections:
        """Some rows, or all."""
        rows = slice(0, len(self)) if rows is None else rows
        return Detections(**{name: self.read_column(name, rows) for name in COLUMNS})


def open_detections(path: Path) -> DetectionsDump:
    """Open a dump.

    Raises:
        ArtifactError: missing, damaged, not such a dump, with chunks that are lost, or with links inside.
    """
    refuse_links(path)
    with reading(path, _WHAT, _REMEDY):
        group = zarr.open_group(path, mode="r", zarr_format=3)
        dump = DetectionsDump(path, {name: open_whole_array(path, group, name) for name in COLUMNS})
        check_forms(
            dump.columns, {name: Form(np.dtype(dtype).type, ("T", *axes)) for name, (dtype, axes) in COLUMNS.items()}
        )
    return dump
