"""Pair representations of a split in HDF5, with the knowledge bank of the network that made them.

By image, `offsets` [I + 1] cut `human_boxes`, `object_boxes` [M, 4], `object_ids` [M] and `representation` [M, D];
`bank` is W_T [H, D] after training. Files of two runs over the same proposals hold the same pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Form
from pipeline.core.types import FloatArray, IntArray, check_boxes
from pipeline.store.hdf5_file import encode_strings, open_hdf5, read_columns, read_text, read_texts, write_hdf5
from pipeline.store.ragged import Column, check_made_for, reading, row_owner

_ROWS_PER_CHUNK = 4096
_FORMS = {
    "offsets": Form(np.int64, ("I + 1",), cuts="M"),
    "human_boxes": Form(np.float32, ("M", 4)),
    "object_boxes": Form(np.float32, ("M", 4)),
    "object_ids": Form(np.int64, ("M",)),
    "representation": Form(np.floating, ("M", "D")),
    "bank": Form(np.float32, ("H", "D")),
}


@dataclass(frozen=True)
class SplitRepresentations:
    """Pairs of a split, image by image, best detector scores first; `representation` is float16 or float32 [M, D]."""

    image_ids: Sequence[str]
    run: str
    offsets: IntArray
    human_boxes: FloatArray
    object_boxes: FloatArray
    object_ids: IntArray
    representation: NDArray[np.floating]
    bank: FloatArray

    def __len__(self) -> int:
        return len(self.object_ids)

    @property
    def image_index(self) -> IntArray:
        """Image of every pair, int64 [M]."""
        return row_owner(self.offsets)

    def same_pairs(self, other: SplitRepresentations) -> bool:
        """Whether both hold the same pairs in the same order."""
        return self.image_ids == other.image_ids and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("offsets", "human_boxes", "object_boxes", "object_ids")
        )


def write_representations(path: Path, *, image_ids: Sequence[str], run: str, **columns: Column | NDArray[Any]) -> None:
    """Write the file atomically: the fields of `SplitRepresentations`, each array in memory or a `Column`."""
    write_hdf5(
        path,
        {name: columns[name] for name in _FORMS} | {"image_id": encode_strings(image_ids)},
        attributes={"run": run},
        chunk_rows=_ROWS_PER_CHUNK,
    )


def read_representations(
    path: Path,
    *,
    image_ids: Sequence[str] | None = None,
    num_hois: int | None = None,
    remedy: str = 'run "weakhoi represent"',
) -> SplitRepresentations:
    """Read the file, and check it against the manifest and vocabulary that will use it.

    Raises:
        ArtifactError: missing, truncated or damaged; of other images or another number of HOI classes than expected;
            `remedy` says what to do.
    """
    with reading(path, "not pair representations", remedy), open_hdf5(path) as file:
        found_ids = read_texts(file, "image_id")
        columns = read_columns(file, _FORMS, len(found_ids))
        split = SplitRepresentations(image_ids=found_ids, run=read_text(file, "run"), **columns)
        _check_values(split)
    check_made_for(path, "images", split.image_ids, image_ids, remedy)
    check_made_for(path, "HOI classes", len(split.bank), num_hois, remedy)
    return split


def _check_values(split: SplitRepresentations) -> None:
    for name in ("human_boxes", "object_boxes"):
        check_boxes(getattr(split, name), name)
    for name in ("representation", "bank"):
        if not np.isfinite(getattr(split, name)).all():
            raise ValueError(f"{name} holds numbers that are not finite")
