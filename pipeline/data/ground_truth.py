"""The only place that hands out annotated boxes. The rooms that learn (training, hoi, detection, prompts) may not import it.

`prepare` writes the ground truth of an evaluation split with `write_ground_truth`; `evaluate` reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.types import GroundTruth
from pipeline.data.hicodet_annotations import HicoDetAnnotations
from pipeline.data.json_file import read_annotation_json
from pipeline.store.files import write_text

_KEYS = ("num_images", "image_hois", "image_index", "hoi_id", "human_boxes", "object_boxes")


def hicodet_ground_truth(annotations: HicoDetAnnotations) -> GroundTruth:
    """Visible pairs of a HICO-DET split, in annotation order."""
    return GroundTruth(
        image_index=annotations.image_index,
        hoi_id=annotations.hoi_id,
        human_boxes=annotations.human_boxes,
        object_boxes=annotations.object_boxes,
        num_images=len(annotations),
        image_hois=annotations.image_hois,
    )


def write_ground_truth(path: Path, truth: GroundTruth) -> None:
    """Write annotated pairs as JSON, one array per line; `image_hois` as (image, HOI class) index pairs or null."""
    import json

    data: dict[str, Any] = {
        "num_images": truth.num_images,
        "image_hois": None
        if truth.image_hois is None
        else {"num_hois": truth.image_hois.shape[1], "pairs": np.argwhere(truth.image_hois).tolist()},
        "image_index": truth.image_index.tolist(),
        "hoi_id": truth.hoi_id.tolist(),
        "human_boxes": truth.human_boxes.tolist(),
        "object_boxes": truth.object_boxes.tolist(),
    }
    lines = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in data.items())
    write_text(path, "{" + lines + "}\n")


def read_ground_truth(path: Path) -> GroundTruth:
    """Inverse of `write_ground_truth`.

    Raises:
        DataError: missing, truncated, or not such a file.
    """
    data = read_annotation_json(path, _KEYS, "weakhoi ground truth")
    try:
        return GroundTruth(
            image_index=np.array(data["image_index"], dtype=np.int32),
            hoi_id=np.array(data["hoi_id"], dtype=np.int16),
            human_boxes=np.array(data["human_boxes"], dtype=np.float32).reshape(-1, 4),
            object_boxes=np.array(data["object_boxes"], dtype=np.float32).reshape(-1, 4),
            num_images=int(data["num_images"]),
            image_hois=_image_hois(data),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f'{path}: not a ground-truth file ({error}); run "dvc repro prepare"') from None


def _image_hois(data: dict[str, Any]) -> Any:
    if data["image_hois"] is None:
        return None
    shown = np.zeros((data["num_images"], data["image_hois"]["num_hois"]), dtype=np.bool_)
    rows = np.array(data["image_hois"]["pairs"], dtype=np.int64).reshape(-1, 2)
    shown[rows[:, 0], rows[:, 1]] = True
    return shown
