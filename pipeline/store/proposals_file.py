"""Proposals of a split in HDF5: offsets, boxes, scores, object_ids and image_id, and optionally class_probabilities.

Class probabilities take 2 C bytes a box, most of a file; they are read on request. Attributes hold the category names
and the detector, so that a file from elsewhere can be checked before use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import texts
from pipeline.core.arrays import Form
from pipeline.core.errors import DataError
from pipeline.core.types import FloatArray, HalfArray, IntArray, Proposals
from pipeline.store.hdf5_file import (
    encode_strings,
    open_columns,
    open_hdf5,
    read_many_texts,
    read_text,
    read_texts,
    write_hdf5,
)
from pipeline.store.ragged import Column, Table, check_made_for, offsets_of, reading, row_owner

_ROWS_PER_CHUNK = 8192
_FORMS = {
    "offsets": Form(np.int64, ("I + 1",), cuts="N"),
    "boxes": Form(np.float32, ("N", 4)),
    "scores": Form(np.float32, ("N",)),
    "object_ids": Form(np.int64, ("N",)),
}
_PROBABILITIES = {"class_probabilities": Form(np.float16, ("N", "C"))}  # of those that have them
_WHAT = "not a proposals file"
_REMEDY = 'run "dvc repro detect", or "weakhoi import-proposals" on detections of others'


@dataclass(frozen=True)
class SplitProposals:
    """Proposals of a whole split: offsets int64 [I + 1] cut boxes [N, 4], scores [N], object_ids [N] by image.

    `class_probabilities` float16 [N, C] as in `Proposals`.
    """

    image_ids: Sequence[str]
    objects: tuple[str, ...]
    detector: str
    offsets: IntArray
    boxes: FloatArray
    scores: FloatArray
    object_ids: IntArray
    class_probabilities: HalfArray | None = None

    def __len__(self) -> int:
        return len(self.image_ids)

    def image(self, index: int, limit: int | None = None) -> Proposals:
        """Return one image's proposals, at most the `limit` best (they are in order of falling score)."""
        start, stop = int(self.offsets[index]), int(self.offsets[index + 1])
        rows = slice(start, stop if limit is None else min(stop, start + limit))
        probabilities = None if self.class_probabilities is None else self.class_probabilities[rows]
        return Proposals(self.boxes[rows], self.scores[rows], self.object_ids[rows], probabilities)

    @classmethod
    def none(cls, image_ids: Sequence[str], objects: tuple[str, ...]) -> SplitProposals:
        """No proposal in any image: what a method is trained on that learns from images alone."""
        none, offsets = Proposals.empty(), np.zeros(len(image_ids) + 1, np.int64)
        return cls(image_ids, objects, "none", offsets, none.boxes, none.scores, none.object_ids)

    def kept(self, rows: NDArray[np.bool_]) -> SplitProposals:
        """Return the chosen proposals, bool [N], of the same images."""
        counts = np.bincount(row_owner(self.offsets)[rows], minlength=len(self))
        columns = {name: getattr(self, name) for name in ("boxes", "scores", "object_ids", *_PROBABILITIES)}
        chosen = {name: column[rows] for name, column in columns.items() if column is not None}
        return replace(self, offsets=offsets_of(counts), **chosen)


@dataclass(frozen=True)
class StoredProposals:
    """Proposals of many images, read by ranges from their file; each range is checked."""

    path: Path
    image_ids: Sequence[str]
    objects: tuple[str, ...]
    detector: str
    table: Table
    remedy: str

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def offsets(self) -> IntArray:
        """As of `SplitProposals`, int64 [I + 1]."""
        return self.table.offsets["offsets"]

    @property
    def object_ids(self) -> IntArray:
        """Categories of all proposals, int64 [N], read whenever asked for."""
        return self.table.column("object_ids")

    def part(self, start: int, stop: int) -> SplitProposals:
        """Proposals of the images start..stop-1.

        Raises:
            ArtifactError: truncated or damaged; values that are no proposals.
        """
        with reading(self.path, _WHAT, self.remedy):
            split = SplitProposals(
                self.image_ids[start:stop], self.objects, self.detector, **self.table.read(start, stop)
            )
            _check_probabilities(split)
            check_proposals(split.boxes, split.scores, split.object_ids, len(split.objects))
            _check_order(split)
        return split

    def image(self, index: int, limit: int | None = None) -> Proposals:
        """As of `SplitProposals`; errors as of `part`."""
        return self.part(index, index + 1).image(0, limit)


def write_proposals(
    path: Path,
    *,
    image_ids: Sequence[str],
    objects: Sequence[str],
    detector: str,
    class_probabilities: Column | NDArray[Any] | None = None,
    **columns: Column | NDArray[Any],
) -> None:
    """Write a proposals file atomically: the fields of `SplitProposals`, each array in memory or a `Column`."""
    optional = {} if class_probabilities is None else {"class_probabilities": class_probabilities}
    write_hdf5(
        path,
        {name: columns[name] for name in _FORMS} | optional | {"image_id": encode_strings(image_ids)},
        attributes={"objects": encode_strings(objects), "detector": detector},
        chunk_rows=_ROWS_PER_CHUNK,
    )


def read_proposals(
    path: Path,
    *,
    image_ids: Sequence[str] | None = None,
    objects: tuple[str, ...] | None = None,
    class_probabilities: bool = False,
    remedy: str | None = None,
) -> SplitProposals:
    """Read a proposals file, and check it against the manifest and vocabulary that will use it.

    Arguments and errors as of `open_proposals`; those of many images are read too.
    """
    found = open_proposals(
        path, image_ids=image_ids, objects=objects, class_probabilities=class_probabilities, remedy=remedy
    )
    return found if isinstance(found, SplitProposals) else found.part(0, len(found))


def open_proposals(
    path: Path,
    *,
    image_ids: Sequence[str] | None = None,
    objects: tuple[str, ...] | None = None,
    class_probabilities: bool = False,
    remedy: str | None = None,
) -> SplitProposals | StoredProposals:
    """Read a proposals file, or open one of many images, and check it against the manifest and vocabulary.

    Args:
        class_probabilities: read them too, where the file has them.
        remedy: what makes the file, for messages; None: `detect` or `import-proposals`.

    Raises:
        ArtifactError: missing, truncated or damaged file; a dataset of another type or shape; scores that rise within
            an image; other images or categories than expected (both are named).
    """
    remedy = remedy or _REMEDY
    with reading(path, _WHAT, remedy), open_hdf5(path) as file:
        found_ids = read_many_texts(path, file, "image_id")
        optional = _PROBABILITIES if class_probabilities and "class_probabilities" in file else {}
        stored = StoredProposals(
            path=path,
            image_ids=found_ids,
            objects=read_texts(file.attrs, "objects"),
            detector=read_text(file, "detector"),
            table=open_columns(path, file, _FORMS | optional, len(found_ids)),
            remedy=remedy,
        )
        split = stored if len(stored) > texts.MANY else stored.part(0, len(stored))
    check_made_for(path, "images", split.image_ids, image_ids, remedy)
    check_made_for(path, "object categories", split.objects, objects, remedy)
    return split


def check_proposals(boxes: FloatArray, scores: FloatArray, object_ids: IntArray, num_objects: int) -> None:
    """Refuse impossible boxes, scores and ids.

    Raises:
        DataError: as `Proposals`, or an id of no category.
    """
    Proposals(boxes, scores, object_ids)  # its own checks
    if object_ids.max(initial=0) >= num_objects:
        raise DataError(f"object_ids holds {object_ids.max()}, expected 0..{num_objects - 1}")


def _check_probabilities(split: SplitProposals) -> None:
    """Refuse what are no probabilities of the file's own categories."""
    found = split.class_probabilities
    if found is not None and found.shape[1] != len(split.objects):
        raise DataError(f"class_probabilities has {found.shape[1]} columns; expected {len(split.objects)} categories")
    Proposals(split.boxes, split.scores, split.object_ids, found)  # its own checks


def _check_order(split: SplitProposals) -> None:
    """Refuse scores that rise within an image: `SplitProposals.image` takes the best by position."""
    rises = np.flatnonzero(np.diff(split.scores) > 0) + 1
    rises = rises[~np.isin(rises, split.offsets)]  # between two images a score may rise
    if len(rises):
        image_id = split.image_ids[int(np.searchsorted(split.offsets, rises[0], side="right")) - 1]
        raise DataError(f'scores of image "{image_id}" are not in falling order; expected the best first')
