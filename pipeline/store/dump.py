"""The prediction dump: raw logits of a split in sharded zarr v3, with the proposals that they belong to.

Everything that `evaluate` needs beside the ground truth is inside. I images, N proposals, M pairs of the whole split:
`proposal_offsets` [I + 1], `boxes` [N, 4], `proposal_scores` [N], `object_ids` [N], `pair_offsets` [I + 1],
`human_index`, `object_index` [M] (rows of the image's proposals), and the outputs that the method declares, a row an
image or a pair. Outputs, boxes and scores are float32, all else int64. Attributes: vocabulary, image ids, variant, and
`columns`, the declaration of the outputs (`core/outputs.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError
from pipeline.core.outputs import OutputColumn
from pipeline.core.types import FloatArray, IntArray, Proposals, check_text
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.columns import Column
from pipeline.store.files import atomic_path
from pipeline.store.zarr_files import WRITE_ZEROS, open_whole_array, reading_zarr

_CHUNK_ROWS = 4096
_SHARD_CHUNKS = 16
_ARRAYS = {
    "proposal_offsets": "int64",
    "boxes": "float32",
    "proposal_scores": "float32",
    "object_ids": "int64",
    "pair_offsets": "int64",
    "human_index": "int64",
    "object_index": "int64",
}
_CUT_BY = {
    "proposal_offsets": ("boxes", "proposal_scores", "object_ids"),
    "pair_offsets": ("human_index", "object_index"),
}
_WHAT, _INFER = "not a prediction dump", 'run "dvc repro infer"'


@dataclass(frozen=True)
class PredictionDump:
    """A split's raw predictions in memory; shapes as in this file's docstring. human/object_index are within-image.

    `outputs` holds an array for each of `columns`, by its name.
    """

    vocabulary: Vocabulary
    image_ids: tuple[str, ...]
    variant: str
    columns: tuple[OutputColumn, ...]
    outputs: Mapping[str, FloatArray]
    proposal_offsets: IntArray
    boxes: FloatArray
    proposal_scores: FloatArray
    object_ids: IntArray
    pair_offsets: IntArray
    human_index: IntArray
    object_index: IntArray

    def __len__(self) -> int:
        return len(self.image_ids)


def write_dump(path: Path, dump: PredictionDump) -> None:
    """Write a dump atomically as one zarr v3 group."""
    arrays = {name: getattr(dump, name) for name in _ARRAYS} | dict(dump.outputs)
    write_dump_columns(
        path,
        vocabulary=dump.vocabulary,
        image_ids=dump.image_ids,
        variant=dump.variant,
        outputs=dump.columns,
        columns={name: Column.of(array) for name, array in arrays.items()},
    )


def write_dump_columns(
    path: Path,
    *,
    vocabulary: Vocabulary,
    image_ids: Sequence[str],
    variant: str,
    outputs: Sequence[OutputColumn],
    columns: Mapping[str, Column],
) -> None:
    """Write a dump atomically from columns that need not be in memory, one shard of one array at a time."""
    with atomic_path(path) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        group.attrs.update(
            {
                "variant": variant,
                "vocabulary": vocabulary.to_json(),
                "image_ids": list(image_ids),
                "columns": [asdict(output) for output in outputs],
            }
        )
        for name in (*_ARRAYS, *(output.name for output in outputs)):
            _write_column(group, name, columns[name])


def _write_column(group: zarr.Group, name: str, column: Column) -> None:
    rows = max(1, min(_CHUNK_ROWS, len(column)))
    trailing = column.shape[1:]
    chunks = -(-len(column) // rows) if column.size else 1
    shard_rows = rows * min(chunks, _SHARD_CHUNKS)
    target = group.create_array(
        name,
        shape=column.shape,
        dtype=column.dtype,
        chunks=(rows, *trailing),
        shards=(shard_rows, *trailing),
        config=WRITE_ZEROS,
    )
    if column.size:
        for start, block in column.blocks(shard_rows):
            target[start : start + len(block)] = block


@dataclass(frozen=True)
class DumpReader:
    """An open dump, read by ranges of images; cheap to open, so that every worker opens its own."""

    path: Path
    vocabulary: Vocabulary
    image_ids: tuple[str, ...]
    variant: str
    columns: tuple[OutputColumn, ...]
    arrays: Mapping[str, zarr.Array[Any]]

    def __len__(self) -> int:
        return len(self.image_ids)

    def read(self, start: int = 0, stop: int | None = None) -> PredictionDump:
        """Predictions of the images start..stop-1, to the last by default: a dump of a split that has only those.

        Raises:
            ArtifactError: damaged, or values that no run writes.
        """
        stop = len(self) if stop is None else stop
        with reading_zarr(self.path, _WHAT, _INFER):
            of_pairs = [column.name for column in self.columns if column.per == "pair"]
            of_images = [column.name for column in self.columns if column.per == "image"]
            arrays = {name: self._rows(name, start, stop) for name in of_images}
            for offsets, names in _CUT_BY.items():
                cuts = self._rows(offsets, start, stop + 1)
                _check_offsets(offsets, cuts, start)
                rows = [*names, *(of_pairs if offsets == "pair_offsets" else ())]
                arrays |= {name: self._rows(name, int(cuts[0]), int(cuts[-1])) for name in rows}
                arrays[offsets] = cuts - cuts[0]
            ends = [int(arrays[name][-1]) for name in _CUT_BY]
            _check_shapes(arrays, self.columns, self.vocabulary, stop - start, ends)
            outputs = {column.name: arrays.pop(column.name) for column in self.columns}
            part = PredictionDump(
                self.vocabulary, self.image_ids[start:stop], self.variant, self.columns, outputs, **arrays
            )
            _check_values(part)
        return part

    def _rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        return np.asarray(self.arrays[name][start:stop])


def read_dump(
    path: Path,
    *,
    vocabulary: Vocabulary | None = None,
    image_ids: tuple[str, ...] | None = None,
    run: str | None = None,
    remedy: str = _INFER,
) -> PredictionDump:
    """Read a dump into memory; arguments and errors as `open_dump`."""
    return open_dump(path, vocabulary=vocabulary, image_ids=image_ids, run=run, remedy=remedy).read()


def open_dump(
    path: Path,
    *,
    vocabulary: Vocabulary | None = None,
    image_ids: tuple[str, ...] | None = None,
    run: str | None = None,
    remedy: str = _INFER,
) -> DumpReader:
    """Open a dump.

    Raises:
        ArtifactError: missing, damaged, or made with another vocabulary, other images or by another run than expected;
            `remedy` says what makes it.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; {remedy}")
    with reading_zarr(path, _WHAT, remedy):
        group = zarr.open_group(path, mode="r", zarr_format=3)
        attributes: dict[str, Any] = dict(group.attrs)
        _check_names(attributes)
        columns = tuple(OutputColumn(**column) for column in attributes["columns"])
        dtypes = _ARRAYS | {column.name: "float32" for column in columns}
        dump = DumpReader(
            path=path,
            vocabulary=Vocabulary.from_json(attributes["vocabulary"]),
            image_ids=tuple(attributes["image_ids"]),
            variant=attributes["variant"],
            columns=columns,
            arrays={name: _open_array(path, group, name, dtype) for name, dtype in dtypes.items()},
        )
        ends = [int(np.asarray(dump.arrays[name][-1:])[0]) for name in _CUT_BY]
        _check_shapes(dump.arrays, columns, dump.vocabulary, len(dump), ends)
    if vocabulary is not None and dump.vocabulary != vocabulary:
        raise ArtifactError(f"{path}: made with another vocabulary; {remedy}")
    if image_ids is not None and dump.image_ids != image_ids:
        raise ArtifactError(
            f"{path}: made from {len(dump.image_ids)} other images than the manifest's {len(image_ids)}; {remedy}"
        )
    if run is not None and dump.variant != run:
        raise ArtifactError(f'{path}: made by the run "{dump.variant}", expected "{run}"; {remedy}')
    return dump


def _check_names(attributes: Mapping[str, Any]) -> None:
    check_text(attributes["variant"], "variant")
    if not isinstance(attributes["image_ids"], list):
        raise TypeError("image_ids is no list")
    for row, image_id in enumerate(attributes["image_ids"]):
        check_text(image_id, f"image_ids: row {row}")


def _open_array(path: Path, group: zarr.Group, name: str, dtype: str) -> zarr.Array[Any]:
    array = open_whole_array(path, group, name)
    if array.shards is None:
        raise ValueError(f"{name} is not a sharded array")
    if array.dtype != np.dtype(dtype):
        raise ValueError(f"{name} is {array.dtype}, expected {dtype}")
    return array


def _check_shapes(
    arrays: Mapping[str, Any], columns: Sequence[OutputColumn], vocabulary: Vocabulary, images: int, ends: list[int]
) -> None:
    """Refuse arrays whose sizes do not fit together; `ends` are the last offsets, of `_CUT_BY`."""
    proposals, pairs = ends
    expected = {
        "proposal_offsets": (images + 1,),
        "boxes": (proposals, 4),
        "proposal_scores": (proposals,),
        "object_ids": (proposals,),
        "pair_offsets": (images + 1,),
        "human_index": (pairs,),
        "object_index": (pairs,),
    }
    for column in columns:
        expected[column.name] = (images if column.per == "image" else pairs, *column.width(vocabulary))
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, expected {shape}")


def _check_offsets(name: str, cuts: IntArray, start: int) -> None:
    """Refuse offsets [images + 1] of the images from `start` on that fall, or that do not begin at 0."""
    if start == 0 and cuts[0] != 0:
        raise ValueError(f"{name} begins at {cuts[0]}, expected 0")
    falls = np.flatnonzero(np.diff(cuts) < 0)
    if len(falls):
        row = int(falls[0])
        raise ValueError(f"{name} falls from {cuts[row]} to {cuts[row + 1]} at image {start + row}")


def _check_values(part: PredictionDump) -> None:
    """Refuse what scoring would turn into nonsense; rows in messages count from the part's first."""
    Proposals(part.boxes, part.proposal_scores, part.object_ids)  # their own checks
    if part.object_ids.max(initial=0) >= part.vocabulary.num_objects:
        raise ValueError(f"object_ids holds {part.object_ids.max()}, expected 0..{part.vocabulary.num_objects - 1}")
    counts = np.repeat(np.diff(part.proposal_offsets), np.diff(part.pair_offsets))  # proposals of each pair's image
    for name in ("human_index", "object_index"):
        index = getattr(part, name)
        wrong = np.flatnonzero((index < 0) | (index >= counts))
        if len(wrong):
            row = int(wrong[0])
            raise ValueError(f"{name} {index[row]} of pair {row} is none of the {counts[row]} proposals of its image")
    for name, logits in part.outputs.items():
        if not np.isfinite(logits).all():
            raise ValueError(f"{name} holds numbers that are not finite")
