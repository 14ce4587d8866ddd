"""Proposals of a split in HDF5: CSR arrays offsets, boxes, scores, object_ids and image_id.

Files are byte-reproducible (no timestamps, fixed order) and self-describing: attributes hold the category names and
the detector, so that a file from elsewhere can be checked before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError, resource_error
from pipeline.core.types import FloatArray, IntArray, Proposals, check_boxes
from pipeline.store.columns import Column
from pipeline.store.hdf5_file import create_hdf5, open_hdf5, read_column, read_text, write_columns
from pipeline.store.ragged import decode_strings, encode_strings, offsets_of, row_owner

_ROWS_PER_CHUNK = 8192
_DTYPES = {"offsets": np.int64, "boxes": np.float32, "scores": np.float32, "object_ids": np.int64}
_SHAPES: dict[str, tuple[int | str, ...]] = {"offsets": ("I + 1",), "boxes": ("N", 4)}  # of the others: [N]


@dataclass(frozen=True)
class SplitProposals:
    """Proposals of a whole split: offsets int64 [I + 1] cut boxes [N, 4], scores [N], object_ids [N] by image."""

    image_ids: tuple[str, ...]
    objects: tuple[str, ...]
    detector: str
    offsets: IntArray
    boxes: FloatArray
    scores: FloatArray
    object_ids: IntArray

    def __len__(self) -> int:
        return len(self.image_ids)

    def image(self, index: int, limit: int | None = None) -> Proposals:
        """Return one image's proposals, at most `limit` of them (they lie by falling score)."""
        start, stop = int(self.offsets[index]), int(self.offsets[index + 1])
        rows = slice(start, stop if limit is None else min(stop, start + limit))
        return Proposals(self.boxes[rows], self.scores[rows], self.object_ids[rows])

    def kept(self, rows: NDArray[np.bool_]) -> SplitProposals:
        """Return the chosen proposals, bool [N], of the same images."""
        counts = np.bincount(row_owner(self.offsets)[rows], minlength=len(self))
        columns = {name: getattr(self, name)[rows] for name in ("boxes", "scores", "object_ids")}
        return replace(self, offsets=offsets_of(counts), **columns)


def write_proposals(path: Path, proposals: SplitProposals) -> None:
    """Write a proposals file atomically."""
    write_proposal_columns(
        path,
        image_ids=proposals.image_ids,
        objects=proposals.objects,
        detector=proposals.detector,
        columns={name: Column.of(getattr(proposals, name).astype(dtype)) for name, dtype in _DTYPES.items()},
    )


def write_proposal_columns(
    path: Path, *, image_ids: Sequence[str], objects: Sequence[str], detector: str, columns: Mapping[str, Column]
) -> None:
    """Write a proposals file atomically from columns that need not be in memory: offsets, boxes, scores, object_ids."""
    ordered = {name: columns[name] for name in _DTYPES} | {"image_id": Column.of(encode_strings(list(image_ids)))}
    with create_hdf5(path, sum(column.nbytes for column in ordered.values())) as file:
        file.attrs["objects"] = encode_strings(list(objects))
        file.attrs["detector"] = detector
        write_columns(file, ordered, chunk_rows=_ROWS_PER_CHUNK)


def read_proposals(
    path: Path, *, image_ids: Sequence[str] | None = None, objects: Sequence[str] | None = None
) -> SplitProposals:
    """Read a proposals file, and check it against the manifest and vocabulary that will use it.

    Raises:
        ArtifactError: missing, truncated or damaged file; a dataset of another type or shape; scores that rise within
            an image; other images or categories than expected (both are named).
    """
    if not path.exists():
        raise ArtifactError(f'{path} does not exist; run "dvc repro detect" or import a proposals file')
    try:
        with open_hdf5(path) as file:
            columns = {
                name: read_column(file, name, dtype, *_SHAPES.get(name, ("N",))) for name, dtype in _DTYPES.items()
            }
            image_id = decode_strings(read_column(file, "image_id", str, "I"))
            found_objects = decode_strings(np.asarray(file.attrs["objects"]))
            detector = read_text(file, "detector")
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise resource_error(error) or ArtifactError(
            f'{path}: damaged or not a proposals file ({reason}); run "dvc repro detect"'
        ) from None
    split = SplitProposals(image_ids=tuple(image_id), objects=tuple(found_objects), detector=detector, **columns)
    _check_structure(path, split)
    if image_ids is not None:
        _check_same(path, "images", split.image_ids, tuple(image_ids))
    if objects is not None:
        _check_same(path, "object categories", split.objects, tuple(objects))
    return split


def _check_structure(path: Path, split: SplitProposals) -> None:
    rows = len(split.scores)
    offsets_fit = (
        split.offsets.shape == (len(split.image_ids) + 1,)
        and int(split.offsets[0]) == 0
        and int(split.offsets[-1]) == rows
        and bool((np.diff(split.offsets) >= 0).all())
    )
    if not offsets_fit or not rows == len(split.boxes) == len(split.object_ids):
        sizes = {name: len(getattr(split, name)) for name in _DTYPES} | {"image_id": len(split.image_ids)}
        raise ArtifactError(
            f"{path}: offsets, boxes, scores and object_ids do not fit together (rows: {sizes}); expected offsets that "
            'rise from 0 to the number of scores, one more than images; run "dvc repro detect"'
        )
    strange = split.object_ids[(split.object_ids < 0) | (split.object_ids >= len(split.objects))]
    if len(strange):
        raise ArtifactError(f"{path}: object id {strange[0]} out of range; expected 0 to {len(split.objects) - 1}")
    if not ((split.scores >= 0) & (split.scores <= 1)).all():
        raise ArtifactError(f"{path}: scores outside 0..1; expected probabilities")
    check_boxes(split.boxes, str(path))
    _check_order(path, split)


def _check_order(path: Path, split: SplitProposals) -> None:
    """Refuse scores that rise within an image: `SplitProposals.image` takes the best by position."""
    rises = np.flatnonzero(np.diff(split.scores) > 0) + 1
    rises = rises[~np.isin(rises, split.offsets)]  # an image's first may well be higher than the last of the one before
    if len(rises):
        image_id = split.image_ids[int(np.searchsorted(split.offsets, rises[0], side="right")) - 1]
        raise ArtifactError(
            f'{path}: scores of image "{image_id}" are not in falling order; '
            'expected the best first, run "weakhoi import-proposals" on the detections'
        )


def _check_same(path: Path, what: str, found: tuple[str, ...], expected: tuple[str, ...]) -> None:
    if found == expected:
        return
    if len(found) != len(expected):
        detail = f"has {len(found)} {what}, expected {len(expected)}"
    else:
        row = next(index for index, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
        detail = f'{what} row {row} is "{found[row]}", expected "{expected[row]}"'
    raise ArtifactError(f'{path}: {detail}; it was made from another manifest: run "dvc repro detect"')
