"""The prediction dump: raw logits of a split in sharded zarr v3, with the proposals that they belong to.

Everything that `evaluate` needs beside the ground truth is inside. I images, N proposals, M pairs of the whole split:
`image_logits` [I, H], `proposal_offsets` [I + 1], `boxes` [N, 4], `proposal_scores` [N], `object_ids` [N],
`pair_offsets` [I + 1], `human_index`, `object_index` [M] (rows of the image's proposals),
`interaction_logits` [M, A], `relatedness_logits` [M]. Attributes: vocabulary, image ids, variant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.types import FloatArray, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.columns import Column
from pipeline.store.files import atomic_path

_CHUNK_ROWS = 4096
_SHARD_CHUNKS = 16
_ARRAYS = (
    "image_logits",
    "proposal_offsets",
    "boxes",
    "proposal_scores",
    "object_ids",
    "pair_offsets",
    "human_index",
    "object_index",
    "interaction_logits",
    "relatedness_logits",
)

_CUT_BY = {
    "proposal_offsets": ("boxes", "proposal_scores", "object_ids"),
    "pair_offsets": ("human_index", "object_index", "interaction_logits", "relatedness_logits"),
}
_INFER = 'run "dvc repro infer"'
_DAMAGE = (KeyError, TypeError, ValueError, OSError, RuntimeError, DataError)  # what zarr raises on damaged files


@dataclass(frozen=True)
class PredictionDump:
    """A split's raw predictions in memory; shapes as in this file's docstring. human/object_index are within-image."""

    vocabulary: Vocabulary
    image_ids: tuple[str, ...]
    variant: str
    image_logits: FloatArray
    proposal_offsets: IntArray
    boxes: FloatArray
    proposal_scores: FloatArray
    object_ids: IntArray
    pair_offsets: IntArray
    human_index: IntArray
    object_index: IntArray
    interaction_logits: FloatArray
    relatedness_logits: FloatArray

    def __len__(self) -> int:
        return len(self.image_ids)


def write_dump(path: Path, dump: PredictionDump) -> None:
    """Write a dump atomically as one zarr v3 group."""
    columns = {name: Column.of(getattr(dump, name)) for name in _ARRAYS}
    write_dump_columns(
        path, vocabulary=dump.vocabulary, image_ids=dump.image_ids, variant=dump.variant, columns=columns
    )


def write_dump_columns(
    path: Path, *, vocabulary: Vocabulary, image_ids: Sequence[str], variant: str, columns: Mapping[str, Column]
) -> None:
    """Write a dump atomically from columns that need not be in memory, one shard of one array at a time."""
    with atomic_path(path) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        group.attrs.update({"variant": variant, "vocabulary": vocabulary.to_json(), "image_ids": list(image_ids)})
        for name in _ARRAYS:
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
        config={"write_empty_chunks": True},  # else a lost shard could not be told from one of zeros
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
    arrays: Mapping[str, zarr.Array[Any]]

    def __len__(self) -> int:
        return len(self.image_ids)

    def read(self, start: int = 0, stop: int | None = None) -> PredictionDump:
        """Predictions of the images start..stop-1, to the last by default: a dump of a split that has only those.

        Raises:
            ArtifactError: damaged.
        """
        stop = len(self) if stop is None else stop
        try:
            arrays = {"image_logits": self._rows("image_logits", start, stop)}
            for offsets, names in _CUT_BY.items():
                cuts = self._rows(offsets, start, stop + 1)
                arrays |= {name: self._rows(name, int(cuts[0]), int(cuts[-1])) for name in names}
                arrays[offsets] = cuts - cuts[0]
            _check_shapes(arrays, self.vocabulary, stop - start, [int(arrays[name][-1]) for name in _CUT_BY])
        except _DAMAGE as error:
            raise _damaged(self.path, error) from None
        return PredictionDump(self.vocabulary, self.image_ids[start:stop], self.variant, **arrays)

    def _rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        return np.asarray(self.arrays[name][start:stop])


def read_dump(
    path: Path,
    *,
    vocabulary: Vocabulary | None = None,
    image_ids: tuple[str, ...] | None = None,
    remedy: str = _INFER,
) -> PredictionDump:
    """Read a dump into memory; arguments and errors as `open_dump`."""
    return open_dump(path, vocabulary=vocabulary, image_ids=image_ids, remedy=remedy).read()


def open_dump(
    path: Path,
    *,
    vocabulary: Vocabulary | None = None,
    image_ids: tuple[str, ...] | None = None,
    remedy: str = _INFER,
) -> DumpReader:
    """Open a dump.

    Raises:
        ArtifactError: missing (`remedy` says what makes it), damaged, or made with another vocabulary or other images
            than expected.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; {remedy}")
    try:
        group = zarr.open_group(path, mode="r", zarr_format=3)
        attributes: dict[str, Any] = dict(group.attrs)
        dump = DumpReader(
            path=path,
            vocabulary=Vocabulary.from_json(attributes["vocabulary"]),
            image_ids=tuple(attributes["image_ids"]),
            variant=attributes["variant"],
            arrays={name: _open_array(path, group, name) for name in _ARRAYS},
        )
        ends = [int(np.asarray(dump.arrays[name][-1:])[0]) for name in _CUT_BY]
        _check_shapes(dump.arrays, dump.vocabulary, len(dump), ends)
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    if vocabulary is not None and dump.vocabulary != vocabulary:
        raise ArtifactError(f'{path}: made with another vocabulary; run "dvc repro infer"')
    if image_ids is not None and dump.image_ids != image_ids:
        raise ArtifactError(
            f"{path}: made from {len(dump.image_ids)} other images than the manifest's {len(image_ids)}; "
            'run "dvc repro infer"'
        )
    return dump


def _damaged(path: Path, error: Exception) -> ArtifactError:
    reason = " ".join(str(error).split())
    return ArtifactError(f'{path}: damaged or not a prediction dump ({reason}); run "dvc repro infer"')


def _open_array(path: Path, group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Open one array; zarr takes an absent or empty shard for zeros, here it is damage."""
    array = group[name]
    if not isinstance(array, zarr.Array) or array.shards is None:
        raise ValueError(f"{name} is not a sharded array")
    counts = [-(-size // rows) for size, rows in zip(array.shape, array.shards, strict=True)]
    files = [file for file in (path / name / "c").rglob("*") if file.is_file() and file.stat().st_size]
    if len(files) != int(np.prod(counts)):
        raise ValueError(f"{name} has {len(files)} shards, expected {int(np.prod(counts))}")
    return array


def _check_shapes(arrays: Mapping[str, Any], vocabulary: Vocabulary, images: int, ends: list[int]) -> None:
    """Refuse arrays whose sizes do not fit together; `ends` are the last offsets, of `_CUT_BY`."""
    proposals, pairs = ends
    expected = {
        "image_logits": (images, vocabulary.num_hois),
        "proposal_offsets": (images + 1,),
        "boxes": (proposals, 4),
        "proposal_scores": (proposals,),
        "object_ids": (proposals,),
        "pair_offsets": (images + 1,),
        "human_index": (pairs,),
        "object_index": (pairs,),
        "interaction_logits": (pairs, vocabulary.num_verbs),
        "relatedness_logits": (pairs,),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, expected {shape}")
