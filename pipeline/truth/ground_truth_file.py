"""Annotated pairs of an evaluation split on disk. Training can't reach this file: an import test proves it.

JSON with flat columns; `train_instances` [H] counts the annotated training pairs per HOI class, which defines Rare,
unless the dataset's own files list the rare classes (`rare`) or other groups of classes (`groups`, by name).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.types import IntArray
from pipeline.data.split import SplitManifest
from pipeline.store.files import read_json, write_json
from pipeline.truth.ground_truth import GroundTruth, check_scored_boxes

RARE_BELOW = 10  # training instances (Chao et al., 2018)
_PREPARE = 'run "dvc repro prepare"'


@dataclass(frozen=True)
class AnnotatedSplit:
    """Ground truth of a split with the training counts int64 [H] that split it into Rare and Non-rare.

    `listed_rare` bool [H]: the dataset's own list of rare classes, None where it has none; `listed_groups`: its own
    groups in place of Rare and Non-rare. Without `has_boxes`, the split has image-level labels alone: no pair, which
    says nothing about detections, and all counts are 0.
    """

    truth: GroundTruth
    train_instances: IntArray
    listed_rare: NDArray[np.bool_] | None = None
    listed_groups: Mapping[str, NDArray[np.bool_]] | None = None
    has_boxes: bool = True

    @property
    def groups(self) -> ClassGroups:
        """All classes, and the dataset's groups, or else rare classes and the others; without boxes, all classes."""
        if self.listed_groups is not None or not self.has_boxes:
            return ClassGroups.of(len(self.train_instances), self.listed_groups)
        return ClassGroups.of(len(self.train_instances), {"rare": self.rare, "non_rare": ~self.rare})

    @property
    def rare(self) -> NDArray[np.bool_]:
        """HOI classes listed as rare, or else with fewer than ten training instances, bool [H]."""
        return self.train_instances < RARE_BELOW if self.listed_rare is None else self.listed_rare


def write_ground_truth(path: Path, annotated: AnnotatedSplit, manifest: SplitManifest) -> None:
    """Write a split's annotated pairs atomically; rows refer to the manifest's images by id."""
    truth = annotated.truth
    listed: dict[str, Any] = (
        {} if annotated.listed_rare is None else {"rare": np.flatnonzero(annotated.listed_rare).tolist()}
    )
    if annotated.listed_groups is not None:
        listed["groups"] = {name: np.flatnonzero(members).tolist() for name, members in annotated.listed_groups.items()}
    write_json(
        path,
        {
            "dataset": manifest.dataset,
            "split": manifest.split,
            "train_instances": annotated.train_instances.tolist(),
            **listed,
            "image_ids": list(manifest.image_ids),
            "image_index": truth.image_index.tolist(),
            "hoi_id": truth.hoi_id.tolist(),
            "human_boxes": truth.human_boxes.tolist(),
            "object_boxes": truth.object_boxes.tolist(),
        },
    )


def write_unannotated(path: Path, manifest: SplitManifest) -> None:
    """Write that an evaluation split has no annotated boxes."""
    write_json(path, {"dataset": manifest.dataset, "split": manifest.split, "annotated": False})


def read_ground_truth(
    path: Path, manifest: SplitManifest, num_hois: int, *, may_lack_boxes: bool = False
) -> AnnotatedSplit:
    """Read a split's annotated pairs; the image-level labels of the manifest serve the Known Object setting.

    Args:
        may_lack_boxes: return a split without boxes as one without pairs.

    Raises:
        ArtifactError: missing, truncated, or of other images or classes than the manifest.
        DataError: the split has image-level labels only.
    """
    data = read_json(path, remedy=_PREPARE)
    if isinstance(data, dict) and data.get("annotated") is False:
        if may_lack_boxes:
            return _without_boxes(manifest, num_hois)
        raise DataError(
            f"{manifest.dataset} {manifest.split}: no annotated boxes, only image-level labels, and this command "
            f'compares with boxes: add them to the dataset and run "dvc repro -f prepare@{manifest.dataset}"; evaluate '
            "and report do without"
        )
    try:
        check_same_images(path, tuple(data["image_ids"]), manifest)
        truth = GroundTruth(
            image_index=np.array(data["image_index"], np.int32),
            hoi_id=np.array(data["hoi_id"], np.int16),
            human_boxes=np.array(data["human_boxes"], np.float32).reshape(-1, 4),
            object_boxes=np.array(data["object_boxes"], np.float32).reshape(-1, 4),
            num_images=len(manifest),
            image_hois=manifest.label_rows(num_hois),
        )
        instances = np.array(data["train_instances"], np.int64)
        rare = np.isin(np.arange(num_hois), data["rare"]) if "rare" in data else None
        groups = None
        if "groups" in data:
            groups = {name: np.isin(np.arange(num_hois), rows) for name, rows in data["groups"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, DataError) as error:
        raise ArtifactError(f"{path}: not a ground-truth file ({error!r}); {_PREPARE}") from None
    _check_values(path, truth, num_hois, manifest)
    if len(instances) != num_hois:
        raise ArtifactError(f"{path}: counts {len(instances)} HOI classes, the vocabulary has {num_hois}; {_PREPARE}")
    return AnnotatedSplit(truth, instances, rare, groups)


def _without_boxes(manifest: SplitManifest, num_hois: int) -> AnnotatedSplit:
    boxes = np.zeros((0, 4), np.float32)
    truth = GroundTruth(
        image_index=np.zeros(0, np.int32),
        hoi_id=np.zeros(0, np.int16),
        human_boxes=boxes,
        object_boxes=boxes,
        num_images=len(manifest),
        image_hois=manifest.label_rows(num_hois),
    )
    return AnnotatedSplit(truth, np.zeros(num_hois, np.int64), has_boxes=False)


def check_same_images(path: Path, image_ids: tuple[str, ...], manifest: SplitManifest) -> None:
    """Refuse annotations of other images than the manifest's, or in another order.

    Raises:
        ArtifactError: counts both.
    """
    if image_ids != manifest.image_ids:
        raise ArtifactError(
            f"{path}: annotates {len(image_ids)} images that are not the {len(manifest)} of the {manifest.split} "
            f"manifest; {_PREPARE}"
        )


def _check_values(path: Path, truth: GroundTruth, num_hois: int, manifest: SplitManifest) -> None:
    unknown = truth.hoi_id[(truth.hoi_id < 0) | (truth.hoi_id >= num_hois)]
    if len(unknown):
        raise ArtifactError(f"{path}: HOI id {unknown[0]}, expected 0 to {num_hois - 1}; {_PREPARE}")
    try:
        check_scored_boxes(truth, manifest.image_sizes, manifest.image_ids, str(path))
    except DataError as error:
        raise ArtifactError(f"{error}; {_PREPARE}") from None
