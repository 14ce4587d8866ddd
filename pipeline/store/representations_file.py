"""Pair representations of a split in HDF5, with the knowledge bank of the network that made them.

CSR by image: `offsets` [I + 1] cut `human_boxes`, `object_boxes` [M, 4], `object_ids` [M] and `representation` [M, D];
`bank` is W_T [H, D] after training. Which pairs are kept does not depend on the network: the files of two runs over
the same proposals hold the same pairs. Byte-reproducible: no timestamps, fixed order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError, DataError, resource_error
from pipeline.core.types import FloatArray, IntArray, check_boxes
from pipeline.store.columns import Column
from pipeline.store.hdf5_file import create_hdf5, open_hdf5, read_column, read_text, write_columns
from pipeline.store.ragged import decode_strings, encode_strings, row_owner

_ROWS_PER_CHUNK = 4096
_FORMS: dict[str, tuple[type, tuple[int | str, ...]]] = {
    "offsets": (np.int64, ("I + 1",)),
    "human_boxes": (np.float32, ("M", 4)),
    "object_boxes": (np.float32, ("M", 4)),
    "object_ids": (np.int64, ("M",)),
    "representation": (np.floating, ("M", "D")),
    "bank": (np.float32, ("H", "D")),
}


@dataclass(frozen=True)
class SplitRepresentations:
    """Pairs of a split, image by image, best detector scores first; `representation` is float16 or float32 [M, D]."""

    image_ids: tuple[str, ...]
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


def write_representations(path: Path, split: SplitRepresentations) -> None:
    """Write the file atomically."""
    columns = {name: Column.of(getattr(split, name)) for name in _FORMS}
    write_representation_columns(path, image_ids=split.image_ids, run=split.run, columns=columns)


def write_representation_columns(
    path: Path, *, image_ids: Sequence[str], run: str, columns: Mapping[str, Column]
) -> None:
    """Write the file atomically from columns that need not be in memory: all but `image_id`."""
    ordered = {name: columns[name] for name in _FORMS}
    ordered["image_id"] = Column.of(encode_strings(list(image_ids)))
    with create_hdf5(path, sum(column.nbytes for column in ordered.values())) as file:
        file.attrs["run"] = run
        write_columns(file, ordered, chunk_rows=_ROWS_PER_CHUNK)


def read_representations(
    path: Path, *, image_ids: Sequence[str] | None = None, num_hois: int | None = None, remedy: str = ""
) -> SplitRepresentations:
    """Read the file, and check it against the manifest and vocabulary that will use it.

    Args:
        remedy: what to do where the file is of no use; by default, to run `represent`.

    Raises:
        ArtifactError: missing, truncated or damaged; of other images or another number of HOI classes than expected.
    """
    remedy = remedy or 'run "weakhoi represent"'
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; {remedy}")
    try:
        with open_hdf5(path) as file:
            columns = {name: read_column(file, name, dtype, *shape) for name, (dtype, shape) in _FORMS.items()}
            found = tuple(decode_strings(read_column(file, "image_id", str, "I")))
            run = read_text(file, "run")
        split = SplitRepresentations(image_ids=found, run=run, **columns)
        _check_structure(split)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, UnicodeDecodeError, DataError) as error:
        reason = " ".join(str(error).split())
        raise resource_error(error) or ArtifactError(
            f"{path}: damaged or not pair representations ({reason}); {remedy}"
        ) from None
    if image_ids is not None and found != tuple(image_ids):
        raise ArtifactError(
            f"{path}: made from {len(found)} other images than the manifest's {len(image_ids)}; {remedy}"
        )
    if num_hois is not None and len(split.bank) != num_hois:
        raise ArtifactError(f"{path}: bank of {len(split.bank)} HOI classes, expected {num_hois}; {remedy}")
    return split


def _check_structure(split: SplitRepresentations) -> None:
    rows, offsets = len(split.object_ids), split.offsets
    if offsets.shape != (len(split.image_ids) + 1,) or offsets[0] != 0 or offsets[-1] != rows:
        raise ValueError(f"offsets do not cut {rows} pairs into {len(split.image_ids)} images")
    if (np.diff(offsets) < 0).any():
        raise ValueError("offsets fall")
    shapes = {"human_boxes": (rows, 4), "object_boxes": (rows, 4), "representation": (rows, split.bank.shape[-1])}
    for name, shape in shapes.items():
        if getattr(split, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(split, name).shape}, expected {shape}")
    for name in ("human_boxes", "object_boxes"):
        check_boxes(getattr(split, name), name)
    if not np.isfinite(split.representation).all() or not np.isfinite(split.bank).all():
        raise ValueError("numbers that are not finite")
