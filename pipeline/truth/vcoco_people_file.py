"""Annotated people of a V-COCO split on disk: what its protocol scores against, as JSON columns.

Training can't reach this file, as it can't reach the ground truth of pairs.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.types import check_boxes
from pipeline.data.split import SplitManifest
from pipeline.store.files import read_json, write_json
from pipeline.truth.ground_truth_file import check_same_images
from pipeline.truth.vcoco_annotations import NUM_ROLES, VCocoAnnotations

_DTYPES: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "image_ids": (np.int64, (-1,)),
    "sizes": (np.int64, (-1, 2)),
    "boxes": (np.float32, (-1, 4)),
    "category_ids": (np.int64, (-1,)),
    "person_image": (np.int64, (-1,)),
    "person_box": (np.int64, (-1,)),
}


def write_people(path: Path, annotations: VCocoAnnotations) -> None:
    """Write the annotations of a split atomically."""
    columns = {item.name: getattr(annotations, item.name) for item in fields(annotations)}
    write_json(
        path, {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in columns.items()}
    )


def read_people(path: Path, manifest: SplitManifest) -> VCocoAnnotations:
    """Read the annotations of a split, whose images must be those of the manifest, in its order.

    Raises:
        ArtifactError: missing (the dataset was prepared from another form than the official files), truncated, or of
            other images.
    """
    remedy = (
        "the V-COCO protocol needs the official vcoco_*.json files: prepare from those, "
        "or set evaluate.protocol to hicodet for mAP over pairs"
    )
    data = read_json(path, remedy=remedy)
    try:
        num_actions = len(data["actions"])
        columns: dict[str, Any] = {
            name: np.array(data[name], dtype).reshape(shape) for name, (dtype, shape) in _DTYPES.items()
        }
        annotations = VCocoAnnotations(
            **columns,
            filenames=tuple(data["filenames"]),
            labels=np.array(data["labels"], np.int8).reshape(-1, num_actions),
            role_box=np.array(data["role_box"], np.int64).reshape(-1, num_actions, NUM_ROLES),
            actions=tuple(data["actions"]),
            roles=tuple(tuple(names) for names in data["roles"]),
            categories={int(category): str(name) for category, name in data["categories"].items()},
        )
        _check_values(annotations)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, DataError) as error:
        raise ArtifactError(f'{path}: not annotated people ({error}); run "dvc repro prepare"') from None
    check_same_images(path, tuple(Path(name).stem for name in annotations.filenames), manifest)
    return annotations


def _check_values(annotations: VCocoAnnotations) -> None:
    """Refuse boxes that are none, and rows of other columns that are not there."""
    check_boxes(annotations.boxes, "boxes")
    lengths = {name: len(getattr(annotations, name)) for name in ("person_image", "person_box", "labels", "role_box")}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in length: {lengths}")
    num_boxes = len(annotations.boxes)
    for name, size, least in (
        ("person_image", len(annotations), 0),
        ("person_box", num_boxes, 0),
        ("role_box", num_boxes, -1),
    ):
        rows = getattr(annotations, name)
        if rows.size and not least <= rows.min() <= rows.max() < size:
            raise ValueError(f"{name} holds rows {rows.min()} to {rows.max()}, expected {least} to {size - 1}")
    if (np.diff(annotations.person_image) < 0).any():
        raise ValueError("person_image falls, expected people by image")
