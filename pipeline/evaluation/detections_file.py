"""Detections of any method in npz or zarr: read, checked field by field before anything is computed; npz also written.

Boxes are continuous 0-based corners, right and bottom exclusive, in pixels of the original image. They are scored as
they are, never clipped; those clearly outside their image are refused (`pipeline/core/image_bounds.py` has the rule).
No pickle is read.
"""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from pipeline.core.arrays import Form, check_forms
from pipeline.core.errors import DataError, resource_error
from pipeline.core.image_bounds import check_inside
from pipeline.core.types import Detections, FloatArray, IntArray, check_boxes
from pipeline.evaluation.ranges import check_range
from pipeline.evaluation.role_detections import RoleDetections, check_role_boxes
from pipeline.store.detections_dump import DetectionsDump, open_detections
from pipeline.store.file_content import content_of
from pipeline.store.files import atomic_path
from pipeline.store.ragged import offsets_of
from pipeline.store.targets import check_replaceable

_ROWS, _BOXES = ("T",), ("T", 4)
INTEGER: Any = np.integer  # of any width; an abstract class to type checkers
HICODET_COLUMNS = {  # integers and floats of any width
    "image_index": Form(INTEGER, _ROWS),
    "hoi_id": Form(INTEGER, _ROWS),
    "human_boxes": Form(np.floating, _BOXES),
    "object_boxes": Form(np.floating, _BOXES),
    "scores": Form(np.floating, _ROWS),
}
_VCOCO_COLUMNS = {
    "image_id": Form(np.int64, _ROWS),
    "action_id": Form(np.int16, _ROWS),
    "role_index": Form(np.int16, _ROWS),
    "human_boxes": Form(np.floating, _BOXES),
    "role_boxes": Form(np.floating, _BOXES),
    "scores": Form(np.floating, _ROWS),
}


def read_hicodet_detections(path: Path, sizes: IntArray, num_hois: int) -> Detections:
    """Read triplets: image_index, hoi_id, human_boxes and object_boxes [T, 4], scores; numbers of any width.

    Args:
        path: npz file.
        sizes: width and height of the annotated images, int64 [I, 2].
        num_hois: H.

    Raises:
        DataError: unreadable, a field missing, no numbers or of wrong length, an id out of range, a score that is not
            finite, a box that is not finite, inverted or outside its image.
    """
    columns = _read_npz(path, HICODET_COLUMNS, convertible=True)
    detections = Detections(**narrowed(columns, len(sizes), num_hois, str(path)))
    check_hicodet_detections(detections, sizes, num_hois, str(path))
    return detections


def narrowed(
    columns: Mapping[str, NDArray[Any]], num_images: int, num_hois: int, where: str
) -> dict[str, NDArray[Any]]:
    """Return columns of triplets or of annotated pairs in the types of their records.

    Raises:
        DataError: an id is out of range, and could become another one.
    """
    check_range(columns["image_index"], num_images, f"{where}: image_index", "images")
    check_range(columns["hoi_id"], num_hois, f"{where}: hoi_id", "HOI classes")
    whole = {"image_index": np.int32, "hoi_id": np.int16}
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused where it may not be
        return {name: column.astype(whole.get(name, np.float32), copy=False) for name, column in columns.items()}


def check_hicodet_detections(detections: Detections, sizes: IntArray, num_hois: int, where: str) -> None:
    """Refuse ids out of range, scores that are not finite, and boxes that are not finite, inverted or outside.

    Raises:
        DataError: starts with `where` and names the first bad row.
    """
    check_range(detections.image_index, len(sizes), f"{where}: image_index", "images")
    check_range(detections.hoi_id, num_hois, f"{where}: hoi_id", "HOI classes")
    strange = np.flatnonzero(~np.isfinite(detections.scores))
    if len(strange):
        score = detections.scores[strange[0]]
        raise DataError(f"{where}: scores: row {strange[0]} is {score}; expected finite numbers")
    image_sizes = sizes[detections.image_index]
    for name, boxes in (("human_boxes", detections.human_boxes), ("object_boxes", detections.object_boxes)):
        check_boxes(boxes, f"{where}: {name}")
        check_inside(boxes, image_sizes, f"{where}: {name}")


@dataclass(frozen=True)
class ZarrDetections:
    """Triplets in a zarr group, read by ranges of images; implements `engine.ImageBlocks`.

    `offsets` int64 [I + 1] cuts the rows by image.
    """

    path: Path
    offsets: IntArray

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def read(self, start: int, stop: int) -> tuple[Detections, Sequence[FloatArray]]:
        """Rows of some images, and their scores."""
        found = self._dump.read(slice(int(self.offsets[start]), int(self.offsets[stop])))
        return dataclasses.replace(found, image_index=found.image_index - np.int32(start)), [found.scores]

    @cached_property
    def _dump(self) -> DetectionsDump:
        return open_detections(self.path)


def open_zarr_detections(path: Path, sizes: IntArray, num_hois: int) -> ZarrDetections:
    """Open triplets in zarr, in image order, and check every row, a block at a time; arguments and errors as above.

    Raises:
        ArtifactError: no such group, or damaged.
        DataError: as `read_hicodet_detections`, or an image's rows do not stand together.
    """
    dump, counts, last = open_detections(path), np.zeros(len(sizes), np.int64), 0
    for rows in dump.blocks():
        found, where = dump.read(rows), f"{path}: rows from {rows.start} on"
        check_hicodet_detections(found, sizes, num_hois, where)
        falls = np.flatnonzero(np.diff(found.image_index, prepend=last) < 0)
        if len(falls):
            raise DataError(f"{where}: image_index falls in row {falls[0]}; expected all rows in the order of images")
        counts += np.bincount(found.image_index, minlength=len(sizes))
        last = int(found.image_index[-1])
    return ZarrDetections(path, offsets_of(counts))


def read_vcoco_detections(path: Path, image_ids: IntArray, sizes: IntArray) -> RoleDetections:
    """Read role detections: image_id int64, action_id and role_index int16, human_boxes, role_boxes [T, 4], scores.

    Role boxes are all NaN (or all zero) where none is predicted; NaN scores are legal and drop their row.

    Args:
        path: npz file.
        image_ids: COCO ids of the annotated images, int64 [I], ascending.
        sizes: their width and height, int64 [I, 2].

    Raises:
        DataError: as `read_hicodet_detections`. Actions and roles are checked by `evaluate_vcoco`.
    """
    detections = RoleDetections(**_read_npz(path, _VCOCO_COLUMNS))
    check_role_boxes(detections, image_ids, sizes, str(path))
    return detections


def write_npz(path: Path, detections: Detections | RoleDetections) -> None:
    """Write detections of either dataset as npz, atomically.

    Raises:
        DataError: anything but such a file is there.
    """
    check_npz_target(path)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **vars(detections))


def check_npz_target(path: Path) -> None:
    """Refuse a path that can't be written, or that holds anything but such a file of either dataset.

    Raises:
        DataError, ArtifactError: as `check_replaceable`.
    """
    check_replaceable(path, _is_npz, what="detections", option="--output")


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False
    return names in (HICODET_COLUMNS.keys(), _VCOCO_COLUMNS.keys())


def meets_nothing(num_detections: int, what: str, boxes: Sequence[NDArray[np.floating]]) -> str:
    """Say that every AP is 0 because no detection fits the annotations; `boxes` are of some of them, [T, 4] each."""
    line = f"no detection meets an annotated box: none of {num_detections} overlaps {what} by IoU 0.5, every AP is 0"
    if all(not (np.abs(corners) > 1).any() for corners in boxes):
        return f"{line}; all boxes lie in 0..1, expected pixels: multiply them by the image's width and height"
    return f"{line}; check that they are of this split, with its ids, and boxes x1, y1, x2, y2 in pixels"


def _read_npz(path: Path, forms: Mapping[str, Form], *, convertible: bool = False) -> dict[str, NDArray[Any]]:
    """Read the arrays of an npz file and check their forms; `convertible` as of `check_columns`."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise DataError(f"{path}: a single array (npy); expected an npz file with {', '.join(forms)}")
            missing = [name for name in forms if name not in archive.files]
            if missing:
                found = ", ".join(archive.files) or "no array at all"
                raise DataError(f"{path}: {', '.join(missing)} missing, found {found}; expected {', '.join(forms)}")
            arrays = {name: archive[name] for name in forms}
    except FileNotFoundError:
        raise DataError(f"{path}: does not exist; check --detections") from None
    except (ValueError, OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "allow_pickle" in reason:  # numpy takes any other file for a pickle, and advises to load it
            reason = "an array of objects" if zipfile.is_zipfile(path) else "not a zip archive"
        content = content_of(path, "npz")
        hint = f"; it holds {content.what}: {content.remedy}" if content else ""
        raise resource_error(error) or DataError(
            f"{path}: not a readable npz file without pickle ({reason}){hint}; write it with numpy.savez"
        ) from None
    check_columns(arrays, forms, str(path), convertible=convertible)
    return arrays


def check_columns(
    columns: Mapping[str, NDArray[Any]], forms: Mapping[str, Form], where: str, *, convertible: bool
) -> None:
    """As `check_forms`; the error starts with `where`."""
    try:
        check_forms(columns, forms, convertible=convertible)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
