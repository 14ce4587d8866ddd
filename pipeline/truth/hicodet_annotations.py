"""HICO-DET annotations: the JSON form and the official MATLAB files, read into one record.

Both forms give boxes as 1-based inclusive pixels `[x1, y1, x2, y2]`; the readers turn them into `[x1-1, y1-1, x2, y2]`,
ours, here and nowhere else. Interactions without a visible pair have no box: they are no ground truth, and their image
stays. Vocabulary: 117 verbs, 80 objects, 600 HOI classes, all in the file's order.

- JSON form: annotation, filenames, objects, verbs, correspondence, size, empty, rare, non_rare; `human` names the human
  category where it is none of the usual names.
- `anno_bbox.mat` (release 20160224): bbox_train, bbox_test, list_action. `hicodet_mat.py` reads it.
- `anno.mat` of that release holds image-level labels for either form; `hicodet_mat.py` reads them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import FloatArray, IntArray
from pipeline.core.vocabulary import Vocabulary, human_category
from pipeline.store.json_file import read_annotation_json
from pipeline.truth.ground_truth import GroundTruth

_REQUIRED = ("annotation", "filenames", "objects", "verbs", "correspondence", "size", "rare")


@dataclass(frozen=True)
class HicoDetAnnotations:
    """One split. I images, G visible pairs, H HOI classes.

    `filenames` [I]; `sizes` int64 [I, 2] width, height in pixels; pairs as image_index int32 [G], hoi_id int16 [G],
    human_boxes and object_boxes float32 [G, 4] (continuous xyxy), by image, in annotation order; `rare` bool [H];
    `image_hois` bool [I, H]: image-level labels where read apart from boxes, else None.
    """

    vocabulary: Vocabulary
    filenames: tuple[str, ...]
    sizes: IntArray
    image_index: NDArray[np.int32]
    hoi_id: NDArray[np.int16]
    human_boxes: FloatArray
    object_boxes: FloatArray
    rare: NDArray[np.bool_]
    image_hois: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.filenames)


def read_hicodet_json(path: Path) -> HicoDetAnnotations:
    """Read the JSON form, e.g. `instances_test2015.json`.

    Raises:
        DataError: missing, truncated, annotations of another dataset, or inconsistent.
    """
    data = read_annotation_json(path, _REQUIRED, "HICO-DET")
    vocabulary = _vocabulary_of(data, path)
    try:
        sizes = np.asarray(data["size"], dtype=np.int64).reshape(-1, 2)
        num_pairs = [len(image["hoi"]) for image in data["annotation"]]
        hoi_id = known_ids([hoi for image in data["annotation"] for hoi in image["hoi"]], vocabulary.num_hois, path)
        human_boxes, object_boxes = (
            from_inclusive([box for image in data["annotation"] for box in image[key]])
            for key in ("boxes_h", "boxes_o")
        )
        rare = np.zeros(vocabulary.num_hois, dtype=np.bool_)
        rare[known_ids(data["rare"], vocabulary.num_hois, path)] = True
        filenames = tuple(str(name) for name in data["filenames"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not HICO-DET annotations ({type(error).__name__}: {error})") from None
    annotations = HicoDetAnnotations(
        vocabulary=vocabulary,
        filenames=filenames,
        sizes=sizes,
        image_index=np.repeat(np.arange(len(num_pairs), dtype=np.int32), num_pairs),
        hoi_id=hoi_id,
        human_boxes=human_boxes,
        object_boxes=object_boxes,
        rare=rare,
    )
    check_annotations(annotations, path, len(num_pairs))
    return annotations


def _vocabulary_of(data: dict[str, Any], path: Path) -> Vocabulary:
    """Vocabulary of the JSON form: correspondence holds [hoi, object, verb] rows, in HOI order."""
    try:
        rows = [(int(hoi), int(obj), int(verb)) for hoi, obj, verb in data["correspondence"]]
    except (TypeError, ValueError):
        raise DataError(f"{path}: correspondence should hold [hoi, object, verb] rows") from None
    if [hoi for hoi, _, _ in rows] != list(range(len(rows))):
        raise DataError(f"{path}: correspondence should list HOI ids 0..{len(rows) - 1} in order")
    try:
        return Vocabulary(
            objects=tuple(data["objects"]),
            verbs=tuple(data["verbs"]),
            hoi_classes=tuple((verb, obj) for _, obj, verb in rows),
            human=human_category(data["objects"], data.get("human")),
        )
    except (TypeError, DataError) as error:
        raise DataError(f"{path}: objects, verbs and correspondence do not fit together ({error})") from None


def known_ids(hoi_ids: Any, num_hois: int, path: Path) -> NDArray[np.int16]:
    """HOI ids as int16, checked before they could wrap around.

    Raises:
        DataError: one is no HOI class.
        ValueError: one is no whole number.
    """
    ids = np.array(hoi_ids)
    if ids.size and ids.dtype.kind not in "iu":
        raise ValueError("HOI ids are not all whole numbers")
    unknown = ids[(ids < 0) | (ids >= num_hois)]
    if len(unknown):
        raise DataError(f"{path}: HOI id {unknown[0]} is unknown; expected 0..{num_hois - 1}")
    return ids.astype(np.int16)


def from_inclusive(boxes: Any) -> FloatArray:
    """1-based inclusive boxes to ours, float32 [*, 4]."""
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return (corners - np.array([1, 1, 0, 0])).astype(np.float32)


def check_annotations(annotations: HicoDetAnnotations, path: Path, num_images: int) -> None:
    """Refuse annotations whose parts do not fit each other.

    Raises:
        DataError: names the part.
    """
    num_pairs = len(annotations.hoi_id)
    for name, found, expected in (
        ("filenames", len(annotations.filenames), num_images),
        ("size", len(annotations.sizes), num_images),
        ("boxes_h", len(annotations.human_boxes), num_pairs),
        ("boxes_o", len(annotations.object_boxes), num_pairs),
    ):
        if found != expected:
            raise DataError(f"{path}: {name} has {found} entries, expected {expected}; the file is damaged")
    for boxes in (annotations.human_boxes, annotations.object_boxes):
        if not np.isfinite(boxes).all():
            row = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
            raise DataError(f"{path}: a box of pair {row} is {boxes[row].tolist()}; expected finite numbers")


def hicodet_ground_truth(annotations: HicoDetAnnotations) -> GroundTruth:
    """Visible pairs of a HICO-DET split, in annotation order, over all of its images."""
    return GroundTruth(
        image_index=annotations.image_index,
        hoi_id=annotations.hoi_id,
        human_boxes=annotations.human_boxes,
        object_boxes=annotations.object_boxes,
        num_images=len(annotations),
        image_hois=annotations.image_hois,
    )
