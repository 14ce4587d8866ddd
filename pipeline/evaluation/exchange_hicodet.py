"""Triplets in MATLAB files, as HICO-DET's own evaluator takes them (`eval_one.m`, format "obj"); written and read.

One file per object category, `detections_NN.mat`, NN counting from 01. Its `all_boxes` is a cell array [HOI classes of
the object, images]; each cell holds rows of human box, object box, score, 0-based inclusive pixels (the evaluator adds
the 1 of MATLAB itself). There is a column for every image of the test split, in the order of `anno.mat`.

Files are numbered in one of two orders of objects: COCO's 80 categories in COCO's order (by name), which the evaluator
looks for, or the dataset's own, HICO-DET's alphabetical one (UPT, SCG, PViC, ADA-CM). The numbers of rows tell which.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import Detections
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.coco_categories import COCO_80, object_ids_of
from pipeline.store.file_content import reason_and_remedy
from pipeline.store.files import atomic_path
from pipeline.store.targets import check_replaceable
from pipeline.truth.hicodet_mat import load_mat

Order = Literal["coco", "alphabetical"]
ONE_PIXEL = np.array([0.0, 0.0, 1.0, 1.0])  # what right and bottom of inclusive boxes lack
_FILE_NAME = re.compile(r"detections_(\d\d+)\.mat")
_EXPORT = "HICO-DET detections"
_ROW = 9  # numbers of a triplet: two boxes and a score
_EXPECTED = "expected cells [HOI classes of the object, images] of rows [human box, object box, score]"


def write_hicodet_mat(
    folder: Path,
    detections: Detections,
    vocabulary: Vocabulary,
    num_images: int,
    done: Callable[[], None],
    order: Order = "coco",
) -> None:
    """Write the folder of detection files atomically; `done` is called after each.

    Raises:
        DataError: the vocabulary is not HICO-DET's: a category without HOI classes, or classes that are not grouped; or
            the folder holds other files, which writing would remove.
    """
    from scipy.io import savemat

    check_folder_target(folder)
    groups = _hois_of_files(vocabulary, order)
    detections = detections.take(np.lexsort((detections.image_index, detections.hoi_id)))  # stable within a cell
    rows = np.concatenate(
        [
            to_inclusive(detections.human_boxes),
            to_inclusive(detections.object_boxes),
            detections.scores[:, None].astype(np.float64),
        ],
        axis=1,
    )
    cells = detections.hoi_id.astype(np.int64) * num_images + detections.image_index
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for number, hoi_ids in enumerate(groups, start=1):
            all_boxes = np.empty((len(hoi_ids), num_images), dtype=object)
            for row, hoi_id in enumerate(hoi_ids):
                cuts = np.searchsorted(cells, hoi_id * num_images + np.arange(num_images + 1))
                for image in range(num_images):
                    all_boxes[row, image] = rows[cuts[image] : cuts[image + 1]]
            savemat(temporary / f"detections_{number:02d}.mat", {"all_boxes": all_boxes}, do_compression=True)
            done()


def check_folder_target(folder: Path) -> None:
    """Refuse a folder that can't be written, or that holds anything but such files.

    Raises:
        DataError, ArtifactError: as `check_replaceable`.
    """
    check_replaceable(folder, Path.is_dir, what=_EXPORT, option="--output")
    for path in folder.iterdir() if folder.is_dir() else ():
        check_replaceable(path, lambda file: _number(file) is not None, what=_EXPORT, option="--output")


def read_hicodet_folder(
    folder: Path, vocabulary: Vocabulary, num_images: int, done: Callable[[], None]
) -> tuple[Detections, Order]:
    """Read a folder of detection files in either order; rows by image, class and row of the cell.

    Args:
        done: called after each file.

    Returns:
        Unchecked detections, and the order that was found; "coco" where both orders are the same.

    Raises:
        DataError: a file is missing, damaged or of another form, or the numbers of rows fit no order or both.
    """
    files = _files(folder)
    order, groups = _order_of(folder, [_num_rows(path, num_images) for path in files], vocabulary)
    hois, images, rows = [], [], [np.zeros((0, _ROW))]
    for path, hoi_ids in zip(files, groups, strict=True):
        for row, cells in enumerate(load_mat(path, ("all_boxes",), _EXPECTED)["all_boxes"]):
            for image, cell in enumerate(cells):
                if cell.size:
                    rows.append(_checked(cell, f"{path}: all_boxes{{{row + 1}, {image + 1}}}"))
                    hois.append(np.full(len(cell), hoi_ids[row], np.int16))
                    images.append(np.full(len(cell), image, np.int32))
        done()
    found = np.concatenate(rows)
    detections = Detections(
        image_index=np.concatenate([np.zeros(0, np.int32), *images]),
        hoi_id=np.concatenate([np.zeros(0, np.int16), *hois]),
        human_boxes=to_continuous(found[:, :4]).astype(np.float32),
        object_boxes=to_continuous(found[:, 4:8]).astype(np.float32),
        scores=found[:, 8].astype(np.float32),
    )
    return detections.take(np.lexsort((detections.hoi_id, detections.image_index))), order


def _files(folder: Path) -> list[Path]:
    """Detection files by number, from 1 on without a gap."""
    numbered = {number: path for path in folder.iterdir() if (number := _number(path)) is not None}
    if not numbered:
        raise DataError(f"{folder}: a folder without detections_01.mat; expected HICO-DET's files, one per object")
    for number in range(1, len(numbered) + 1):
        if number not in numbered:
            raise DataError(f"{folder}: detections_{number:02d}.mat is missing; expected one per object, from 01 on")
    return [numbered[number] for number in sorted(numbered)]


def _number(path: Path) -> int | None:
    """Number of a detection file; None for other files."""
    found = _FILE_NAME.fullmatch(path.name)
    return int(found[1]) if found else None


def _num_rows(path: Path, num_images: int) -> int:
    """Number of HOI classes in a file, without reading its cells."""
    from scipy.io import whosmat

    try:
        found = {name: (tuple(shape), kind) for name, shape, kind in whosmat(path)}
    except Exception as error:  # on damaged files scipy raises whatever it trips over
        fault = reason_and_remedy(path, "mat", error, "write it again")
        raise DataError(f"{path}: not a readable MATLAB file ({fault.what}); {fault.remedy}") from None
    shape, kind = found.get("all_boxes", ((), "none"))
    if kind != "cell" or len(shape) != 2:
        ppdm = ", as PPDM's and GEN-VLKT's converters write: give the JSON file that it was made from"
        raise DataError(f"{path}: all_boxes is {kind} {list(shape)}{ppdm if kind == 'double' else ''}; {_EXPECTED}")
    if shape[1] != num_images:
        raise DataError(
            f"{path}: all_boxes has {shape[1]} columns, expected one for each of the {num_images} annotated images; "
            "give the annotations of the split that was detected"
        )
    return int(shape[0])


def _order_of(folder: Path, num_rows: list[int], vocabulary: Vocabulary) -> tuple[Order, list[NDArray[np.int64]]]:
    """The order whose HOI classes per object are these, and the HOI ids of each file."""
    known: dict[Order, list[NDArray[np.int64]]] = {}
    for order in get_args(Order):
        try:
            known[order] = _hois_of_files(vocabulary, order)
        except DataError:  # a vocabulary of other objects than COCO's
            continue
    fitting = {order: groups for order, groups in known.items() if [len(ids) for ids in groups] == num_rows}
    if not fitting:
        expected = "; ".join(
            f"{order}: {', '.join(str(len(ids)) for ids in groups[:3])}, ... in {len(groups)} files"
            for order, groups in known.items()
        )
        raise DataError(
            f"{folder}: {len(num_rows)} files with {', '.join(map(str, num_rows[:3]))}, ... rows are in no known order "
            f"of the objects; expected a row for each HOI class of a file's object ({expected})"
        )
    order, groups = next(iter(fitting.items()))
    if any(not np.array_equal(*pair) for other in fitting.values() for pair in zip(groups, other, strict=True)):
        raise DataError(
            f"{folder}: COCO's and the alphabetical order of the objects have the same numbers of HOI classes in this "
            "vocabulary, so that the order of the files can't be told; give the detections as npz"
        )
    return order, groups


def _checked(cell: Any, where: str) -> NDArray[np.float64]:
    if cell.ndim != 2 or cell.shape[1] != _ROW or cell.dtype.kind not in "fiu":
        raise DataError(f"{where} is {cell.dtype} {list(cell.shape)}; {_EXPECTED}")
    return np.asarray(cell, np.float64)


def _hois_of_files(vocabulary: Vocabulary, order: Order) -> list[NDArray[np.int64]]:
    """HOI ids of each file.

    Raises:
        DataError: a category of COCO has no block of HOI classes.
    """
    if order == "alphabetical":
        return [np.flatnonzero(vocabulary.hoi_object_ids == object_id) for object_id in range(vocabulary.num_objects)]
    groups: list[NDArray[np.int64]] = []
    for object_id in object_ids_of(np.arange(len(COCO_80)), COCO_80, vocabulary).tolist():
        hoi_ids = np.flatnonzero(vocabulary.hoi_object_ids == object_id) if object_id >= 0 else np.zeros(0, np.int64)
        if not len(hoi_ids) or hoi_ids[-1] - hoi_ids[0] + 1 != len(hoi_ids):
            raise DataError(
                f'hicodet-mat: "{COCO_80[len(groups)]}" has no block of HOI classes in this vocabulary of '
                f"{vocabulary.num_hois}; the official form is for HICO-DET's 600 classes"
            )
        groups.append(hoi_ids)
    return groups


def to_inclusive(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Continuous boxes [*, 4] to 0-based inclusive pixels."""
    return boxes.astype(np.float64) - ONE_PIXEL


def to_continuous(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """0-based inclusive pixels [*, 4] to continuous boxes."""
    return boxes.astype(np.float64) + ONE_PIXEL
