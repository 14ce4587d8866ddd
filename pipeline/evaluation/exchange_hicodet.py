"""Triplets for HICO-DET's own MATLAB evaluator (`eval_one.m`, format "obj").

One file per object category, `detections_NN.mat`, NN counting COCO's 80 categories in COCO's order from 01 (by name:
HICO-DET's own order is alphabetical). Its `all_boxes` is a cell array [HOI classes of the object, images]; each cell
holds rows of human box, object box, score, 0-based inclusive pixels (the evaluator adds the 1 of MATLAB itself). The
evaluator wants a column for every image of the test split, in the order of `anno.mat`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import Detections
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.coco_categories import COCO_80, object_ids_of
from pipeline.store.files import atomic_path
from pipeline.store.targets import check_replaceable

_FILE_NAME = re.compile(r"detections_\d\d\.mat")
_EXPORT = "HICO-DET detections"


def write_hicodet_mat(
    folder: Path, detections: Detections, vocabulary: Vocabulary, num_images: int, done: Callable[[], None]
) -> None:
    """Write the folder of detection files atomically; `done` is called after each.

    Raises:
        DataError: the vocabulary is not HICO-DET's: a category without HOI classes, or classes that are not grouped; or
            the folder holds other files, which writing would remove.
    """
    from scipy.io import savemat

    check_replaceable(folder, Path.is_dir, what=_EXPORT, option="--output")
    for path in folder.iterdir() if folder.is_dir() else ():
        check_replaceable(path, lambda file: bool(_FILE_NAME.fullmatch(file.name)), what=_EXPORT, option="--output")
    groups = _hois_of_files(vocabulary)
    order = np.lexsort((detections.image_index, detections.hoi_id))  # stable: row order within a cell
    rows = np.concatenate(
        [
            to_inclusive(detections.human_boxes[order]),
            to_inclusive(detections.object_boxes[order]),
            detections.scores[order, None].astype(np.float64),
        ],
        axis=1,
    )
    cells = detections.hoi_id[order].astype(np.int64) * num_images + detections.image_index[order]
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


def _hois_of_files(vocabulary: Vocabulary) -> list[NDArray[np.int64]]:
    """HOI ids of each file, in the order of COCO's categories."""
    groups: list[NDArray[np.int64]] = []
    for object_id in object_ids_of(np.arange(len(COCO_80)), COCO_80, vocabulary).tolist():
        hoi_ids = np.flatnonzero(vocabulary.hoi_object_ids == object_id) if object_id >= 0 else np.zeros(0, np.int64)
        if not len(hoi_ids) or hoi_ids[-1] - hoi_ids[0] + 1 != len(hoi_ids):
            raise DataError(
                f'export: "{COCO_80[len(groups)]}" has no block of HOI classes in this vocabulary of '
                f"{vocabulary.num_hois}; the official form is for HICO-DET's 600 classes"
            )
        groups.append(hoi_ids)
    return groups


def to_inclusive(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Continuous boxes [*, 4] to 0-based inclusive pixels."""
    return boxes.astype(np.float64) - np.array([0, 0, 1, 1])
