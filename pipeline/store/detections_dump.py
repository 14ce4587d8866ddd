"""Scored triplets on disk: a flat zarr v3 group with the columns of `Detections`, read block by block.

Row order breaks ties of scores. T triplets: `image_index` int32 [T], `hoi_id` int16 [T],
`human_boxes` and `object_boxes` float32 [T, 4], `scores` float32 [T]. Chunks are written with a checksum (crc32c), so
that a flipped bit is noticed; groups without it are read as well, their values unchecked. Links are not followed.

`evaluate` adds what each triplet matches: `matched` int32 [T], a row of the ground truth, -1 for none; `error` int8
[T], its type, a place in the attribute `error_types`, -1 where it does not count; and each factor of its score,
`factor.NAME` float32 [T]. And of the G rows of the ground truth: `missed` int8 [G], the type of each, a place in the
attribute `missed_types`, -1 where it is found at break-even. `evaluation/error_types.py` defines the types. Other
attributes: the schema's version, the run, its factors in order, and their weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from pipeline.core.arrays import Form, check_forms
from pipeline.core.errors import ArtifactError
from pipeline.core.types import Detections, IntArray, check_text
from pipeline.store.files import atomic_path, refuse_links
from pipeline.store.ragged import check_made_for, reading
from pipeline.store.zarr_files import WRITE_ZEROS, open_whole_array

BLOCK_ROWS = 1 << 18  # 11 MB of detections
COLUMNS = {
    "image_index": Form(np.int32, ("T",)),
    "hoi_id": Form(np.int16, ("T",)),
    "human_boxes": Form(np.float32, ("T", 4)),
    "object_boxes": Form(np.float32, ("T", 4)),
    "scores": Form(np.float32, ("T",)),
}
MATCHES = {"matched": Form(np.int32, ("T",)), "error": Form(np.int8, ("T",))}
SCHEMA_VERSION = 2  # of what `evaluate` writes; 1 had `hit` in place of types of errors
_TRUTH = {"missed": Form(np.int8, ("G",))}
_WHAT, _REMEDY = "no detections in zarr v3", "check the path, copy it again, or write it with write_detections"
ROW_BYTES = 2 * 16 + 4 + 2 + 4  # of the columns above

Block = Mapping[str, NDArray[Any]]  # columns by name


class ErrorNames(NamedTuple):
    """Names of the types of errors, in the order of their numbers: of detections, and of missed annotated pairs."""

    error_types: tuple[str, ...] = ()
    missed_types: tuple[str, ...] = ()


def factor_columns(factors: Iterable[str]) -> dict[str, Form]:
    """Columns of the factors of a score."""
    return {f"factor.{name}": Form(np.float32, ("T",)) for name in factors}


def write_detections(path: Path, blocks: Iterable[Detections], *, block_rows: int = BLOCK_ROWS) -> None:
    """Write detections atomically, given in blocks of any size; only one is in memory at a time."""
    _write(path, (vars(block) for block in blocks), COLUMNS, {}, block_rows)


def write_matched(
    path: Path,
    blocks: Iterable[Block],
    missed: NDArray[np.int8],
    *,
    run: str,
    weights: Mapping[str, float],
    types: ErrorNames,
) -> None:
    """Write detections with what they match, atomically, a block in memory at a time.

    Args:
        blocks: all columns, those of the factors in `weights` among them.
        missed: int8 [G].
        weights: exponent of each factor of the score, in the order of the product.
        types: names of the types that `error` and `missed` count.
    """
    attributes = {"schema_version": SCHEMA_VERSION, "run": run, "weights": dict(weights), **types._asdict()}
    forms = {**COLUMNS, **MATCHES, **factor_columns(weights), **_TRUTH}
    _write(path, chain(blocks, [{"missed": missed}]), forms, attributes, BLOCK_ROWS)


def _write(
    path: Path, blocks: Iterable[Block], forms: Mapping[str, Form], attributes: Mapping[str, Any], block_rows: int
) -> None:
    with atomic_path(path) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        group.attrs.update(attributes)
        columns = {
            name: group.create_array(
                name,
                shape=(0, *map(int, form.axes[1:])),
                dtype=form.dtype,
                chunks=(block_rows, *map(int, form.axes[1:])),
                compressors=(ZstdCodec(level=0), Crc32cCodec()),
                config=WRITE_ZEROS,
            )
            for name, form in forms.items()
        }
        for block in blocks:
            for name, values in block.items():
                columns[name].append(np.asarray(values, dtype=forms[name].dtype))


@dataclass(frozen=True)
class DetectionsDump:
    """An open group; cheap to open, so that every worker opens its own.

    `weights`: of its factors, where it has any; `types`: names of its types of errors, likewise.
    """

    path: Path
    columns: Mapping[str, zarr.Array[Any]]
    weights: Mapping[str, float] = field(default_factory=dict)
    types: ErrorNames = field(default_factory=ErrorNames)

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

    def read_column(self, name: str, rows: slice = slice(None)) -> NDArray[Any]:
        """Some rows of one column, or all.

        Raises:
            ArtifactError: damaged.
        """
        with reading(self.path, _WHAT, _REMEDY):
            return np.asarray(self.columns[name][rows])

    def read(self, rows: slice = slice(None)) -> Detections:
        """Some rows, or all."""
        return Detections(**{name: self.read_column(name, rows) for name in COLUMNS})

    def take(self, rows: IntArray, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Rows in any order, of some columns; a block is in memory at a time."""
        found = {name: np.empty((len(rows), *self.columns[name].shape[1:]), self.columns[name].dtype) for name in names}
        for block in self.blocks():
            inside = np.flatnonzero((rows >= block.start) & (rows < block.stop))
            for name, values in found.items() if len(inside) else ():
                values[inside] = self.read_column(name, block)[rows[inside] - block.start]
        return found


def open_detections(path: Path) -> DetectionsDump:
    """Open detections of whatever origin.

    Raises:
        ArtifactError: missing, damaged, no such group, with chunks that are lost, or with links inside.
    """
    refuse_links(path)
    with reading(path, _WHAT, _REMEDY):
        group = zarr.open_group(path, mode="r", zarr_format=3)
        return DetectionsDump(path, _open_columns(path, group, COLUMNS))


def open_matched(path: Path, *, run: str, remedy: str) -> DetectionsDump:
    """Open what `evaluate` wrote about a run.

    Raises:
        ArtifactError: as `open_detections`, or of another run or schema; `remedy` says what makes it.
    """
    with reading(path, "no detections that evaluate wrote", remedy):
        group = zarr.open_group(path, mode="r", zarr_format=3)
        version = group.attrs.get("schema_version", 1)
    if version != SCHEMA_VERSION:
        raise ArtifactError(f"{path}: detections of schema {version}, expected {SCHEMA_VERSION}; {remedy}")
    with reading(path, "no detections that evaluate wrote", remedy):
        weights = {str(name): float(weight) for name, weight in dict(group.attrs["weights"]).items()}  # type: ignore[arg-type]
        forms = {**COLUMNS, **MATCHES, **factor_columns(weights), **_TRUTH}
        check_text(group.attrs["run"], "run")
        types = ErrorNames(*(tuple(map(str, group.attrs[name])) for name in ErrorNames._fields))  # type: ignore[arg-type]
        dump = DetectionsDump(path, _open_columns(path, group, forms), weights, types)
    check_made_for(path, "run", group.attrs["run"], run, remedy)
    return dump


def _open_columns(path: Path, group: zarr.Group, forms: Mapping[str, Form]) -> dict[str, zarr.Array[Any]]:
    columns = {name: open_whole_array(path, group, name) for name in forms}
    check_forms(columns, forms)
    return columns
