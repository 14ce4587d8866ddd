"""Small random worlds: annotated pairs and detections near them, on whole pixels and with many tied scores."""

from __future__ import annotations

import numpy as np

from pipeline.core.class_groups import ClassGroups
from pipeline.core.types import Detections
from pipeline.truth.ground_truth import GroundTruth

NUM_HOIS = 6
HOI_OBJECT_IDS = np.array([0, 0, 1, 1, 2, 2])
GROUPS = ClassGroups.of(NUM_HOIS, {"rare": np.isin(np.arange(NUM_HOIS), [0, 3])})
SIDE = 24


def detections(rows: list[tuple]) -> Detections:
    """Detections from (image, class, human box, object box, score) rows."""
    images, classes, humans, objects, scores = zip(*rows, strict=True) if rows else ([],) * 5
    return Detections(
        np.array(images, np.int32),
        np.array(classes, np.int16),
        np.array(humans, np.float32).reshape(-1, 4),
        np.array(objects, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
    )


def ground_truth(rows: list[tuple], num_images: int, image_hois=None) -> GroundTruth:
    """Ground truth from (image, class, human box, object box) rows."""
    images, classes, humans, objects = zip(*rows, strict=True) if rows else ([],) * 4
    return GroundTruth(
        np.array(images, np.int32),
        np.array(classes, np.int16),
        np.array(humans, np.float32).reshape(-1, 4),
        np.array(objects, np.float32).reshape(-1, 4),
        num_images=num_images,
        image_hois=image_hois,
    )


def oracle(truth: GroundTruth) -> Detections:
    """The ground truth itself as detections, all with score 1."""
    ones = np.ones(len(truth), np.float32)
    return Detections(truth.image_index, truth.hoi_id, truth.human_boxes, truth.object_boxes, ones)


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.integers(0, SIDE // 2, (count, 2))
    return np.concatenate([corner, corner + rng.integers(2, SIDE // 2, (count, 2))], axis=1).astype(np.float32)


def random_world(seed: int, num_detections: int = 300, num_levels: int = 7) -> tuple[GroundTruth, Detections]:
    """A world of 8 images, some without pairs; class 5 has no ground truth; scores take `num_levels` values."""
    rng = np.random.default_rng(seed)
    num_gt, num_images = int(rng.integers(1, 40)), 8
    truth = GroundTruth(
        rng.integers(0, num_images - 2, num_gt).astype(np.int32),
        rng.integers(0, NUM_HOIS - 1, num_gt).astype(np.int16),
        _boxes(rng, num_gt),
        _boxes(rng, num_gt),
        num_images=num_images,
    )
    near = rng.integers(0, num_gt, num_detections)
    wander = rng.random(num_detections) < 0.3
    images = np.where(wander, rng.integers(0, num_images, num_detections), truth.image_index[near])
    classes = np.where(wander, rng.integers(0, NUM_HOIS, num_detections), truth.hoi_id[near])
    human_boxes, object_boxes = (
        boxes[near] + rng.integers(-2, 3, (num_detections, 4)) for boxes in (truth.human_boxes, truth.object_boxes)
    )
    for boxes in (human_boxes, object_boxes):
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    found = Detections(
        images.astype(np.int32),
        classes.astype(np.int16),
        human_boxes.astype(np.float32),
        object_boxes.astype(np.float32),
        (rng.integers(0, num_levels, num_detections) / num_levels).astype(np.float32),
    )
    return truth, found
