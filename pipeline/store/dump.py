"""The prediction dump: raw logits of a split in sharded zarr v3, with the proposals that they belong to.

It holds all that `evaluate` needs beside the ground truth. I images, N proposals, M pairs of the split:
`proposal_offsets` [I + 1], `boxes` [N, 4], `proposal_scores` [N], `object_ids` [N], `pair_offsets` [I + 1],
`human_index`, `object_index` [M] (rows of the image's proposals), and the outputs that the method declares, a row an
image or a pair. Outputs, boxes and scores are float32, all else int64. Attributes: vocabulary, image ids, variant, and
`columns`, the declaration of the outputs (`core/outputs.py`). Ids of many images are an array `image_id` uint8
[I, bytes], which the attribute then names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.core import texts
from pipeline.core.arrays import Form, check_forms
from pipeline.core.outputs import OutputColumn
from pipeline.core.types import FloatArray, IntArray, check_text
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.hdf5_file import encode_strings
from pipeline.store.proposals_file import check_proposals
from pipeline.store.ragged import Column, Table, check_made_for, reading
from pipeline.store.zarr_files import open_whole_array, write_zarr

_CHUNK_ROWS = 4096
_FORMS = {
    "proposal_offsets": Form(np.int64, ("I + 1",), cuts="N"),
    "boxes": Form(np.float32, ("N", 4)),
    "proposal_scores": Form(np.float32, ("N",)),
    "object_ids": Form(np.int64, ("N",)),
    "pair_offsets": Form(np.int64, ("I + 1",), cuts="M"),
    "human_index": Form(np.int64, ("M",)),
    "object_index": Form(np.int64, ("M",)),
}
_IDS = "image_id"  # name of the array of image ids of many images
_WHAT, _INFER = "not a prediction dump", 'run "dvc repro infer"'


@dataclass(frozen=True)
class PredictionDump:
    """A split's raw predictions in memory; shapes as in this file's docstring. human/object_index are within-image.

    `outputs` holds an array for each of `columns`, by its name.
    """

    vocabulary: Vocabulary
    image_ids: Sequence[str]
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


def write_dump(
    path: Path,
    *,
    vocabulary: Vocabulary,
    image_ids: Sequence[str],
    variant: str,
    columns: Sequence[OutputColumn],
    outputs: Mapping[str, Column | NDArray[Any]],
    **arrays: Column | NDArray[Any],
) -> None:
    """Write a dump atomically: the fields of `PredictionDump`, each array in memory or a `Column`."""
    many = {}
    if len(image_ids) > texts.MANY:
        names = encode_strings(image_ids)
        many = {_IDS: names.view(np.uint8).reshape(len(names), -1)}
    write_zarr(
        path,
        {name: arrays[name] for name in _FORMS} | {column.name: outputs[column.name] for column in columns} | many,
        attributes={
            "variant": variant,
            "vocabulary": vocabulary.to_json(),
            "image_ids": _IDS if many else list(image_ids),
            "columns": [asdict(column) for column in columns],
        },
        chunk_rows=_CHUNK_ROWS,
    )


@dataclass(frozen=True)
class DumpReader:
    """An open dump, read by ranges of images; cheap to open, so that every worker opens its own."""

    path: Path
    vocabulary: Vocabulary
    image_ids: Sequence[str]
    variant: str
    columns: tuple[OutputColumn, ...]
    table: Table

    def __len__(self) -> int:
        return len(self.image_ids)

    def read(self, start: int = 0, stop: int | None = None) -> PredictionDump:
        """Predictions of the images start..stop-1, to the last by default.

        Raises:
            ArtifactError: damaged, or values that no run writes.
        """
        with reading(self.path, _WHAT, _INFER):
            arrays = self.table.read(start, stop)
            outputs = {column.name: arrays.pop(column.name) for column in self.columns}
            part = PredictionDump(
                self.vocabulary, self.image_ids[start:stop], self.variant, self.columns, outputs, **arrays
            )
            _check_values(part)
        return part

    def read_output(self, name: str, images: int) -> Iterator[FloatArray]:
        """Yield one output of images, float32, a row an image, so many at once.

        Raises:
            ArtifactError: damaged, or numbers that are not finite.
        """
        for start in range(0, len(self), images):
            with reading(self.path, _WHAT, _INFER):
                logits = np.asarray(self.table.arrays[name][start : start + images], np.float32)
                _check_finite(name, logits)
            yield logits


def read_dump(path: Path, **expected: Any) -> PredictionDump:
    """Read a dump into memory; arguments and errors as `open_dump`."""
    return open_dump(path, **expected).read()


def open_dump(
    path: Path,
    *,
    vocabulary: Vocabulary | None = None,
    image_ids: Sequence[str] | None = None,
    run: str | None = None,
    remedy: str = _INFER,
) -> DumpReader:
    """Open a dump.

    Raises:
        ArtifactError: missing, damaged, or made with another vocabulary, other images or by another run than expected;
            `remedy` says what makes it.
    """
    with reading(path, _WHAT, remedy):
        group = zarr.open_group(path, mode="r", zarr_format=3)
        attributes: dict[str, Any] = dict(group.attrs)
        _check_names(attributes)
        columns = tuple(OutputColumn(**column) for column in attributes["columns"])
        found = Vocabulary.from_json(attributes["vocabulary"])
        forms = _FORMS | {
            column.name: Form(np.float32, ("I" if column.per == "image" else "M", *column.width(found)))
            for column in columns
        }
        arrays = {name: _open_sharded(path, group, name) for name in forms}
        found_ids = _image_ids(path, group, attributes)
        table = Table.of(arrays, forms, len(found_ids))
        dump = DumpReader(path, found, found_ids, attributes["variant"], columns, table)
    for field in fields(Vocabulary) if vocabulary else ():
        names = getattr(found, field.name), getattr(vocabulary, field.name)
        check_made_for(path, f"vocabulary's {field.name}", *names, remedy)
    check_made_for(path, "images", dump.image_ids, image_ids, remedy)
    check_made_for(path, "run", dump.variant, run, remedy)
    return dump


def _check_names(attributes: Mapping[str, Any]) -> None:
    check_text(attributes["variant"], "variant")


def _image_ids(path: Path, group: zarr.Group, attributes: Mapping[str, Any]) -> Sequence[str]:
    """Ids from the attributes, or, where these name it, from an array that is read by ranges."""
    if attributes["image_ids"] == _IDS:
        array = _open_sharded(path, group, _IDS)
        check_forms({_IDS: array}, {_IDS: Form(np.uint8, ("I", "bytes"))})
        return texts.Texts(_ByteRows(array))
    if not isinstance(attributes["image_ids"], list):
        raise TypeError("image_ids is no list")
    for row, image_id in enumerate(attributes["image_ids"]):
        check_text(image_id, f"image_ids: row {row}")
    return tuple(attributes["image_ids"])


@dataclass(frozen=True)
class _ByteRows:
    """An array uint8 [n, width] as a column of texts."""

    array: zarr.Array[Any]

    def __len__(self) -> int:
        return int(self.array.shape[0])

    def __getitem__(self, rows: slice) -> NDArray[np.bytes_]:
        found = np.ascontiguousarray(self.array[rows], np.uint8)
        return found.view(f"S{found.shape[1]}").reshape(len(found))


def _open_sharded(path: Path, group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = open_whole_array(path, group, name)
    if array.shards is None:
        raise ValueError(f"{name} is not a sharded array")
    return array


def _check_values(part: PredictionDump) -> None:
    """Refuse values that scoring cannot use; rows in messages count from the part's first."""
    check_proposals(part.boxes, part.proposal_scores, part.object_ids, part.vocabulary.num_objects)
    counts = np.repeat(np.diff(part.proposal_offsets), np.diff(part.pair_offsets))  # proposals of each pair's image
    for name in ("human_index", "object_index"):
        index = getattr(part, name)
        wrong = np.flatnonzero((index < 0) | (index >= counts))
        if len(wrong):
            row = int(wrong[0])
            raise ValueError(f"{name} {index[row]} of pair {row} is none of the {counts[row]} proposals of its image")
    for name, logits in part.outputs.items():
        _check_finite(name, logits)


def _check_finite(name: str, logits: FloatArray) -> None:
    if not np.isfinite(logits).all():
        raise ValueError(f"{name} holds numbers that are not finite")
