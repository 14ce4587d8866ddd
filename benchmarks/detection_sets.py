"""Large, plausible sets of HICO-DET detections to time evaluators with.

Detections come per image, as a detector with 600 classes gives them: boxes near annotated pairs or anywhere, classes
of the image's own or others, scores that crowd near 0. All from one seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.hicodet_annotations import read_hicodet_json

NUM_IMAGES, NUM_PAIRS, NUM_HOIS, NUM_OBJECTS = 9658, 33405, 600, 80  # HICO-DET's test set
_SHARE_OWN_CLASS = 0.3  # detections of a class that their image shows
_SHARE_NEAR_PAIR = 0.6  # detections near an annotated pair, those of its class among them
_JITTER = 15.0  # pixels


@dataclass(frozen=True)
class BenchmarkTruth:
    """Ground truth with what the protocol needs beside it; `sizes` int64 [I, 2] width, height."""

    truth: GroundTruth
    sizes: IntArray
    rare: NDArray[np.bool_]
    hoi_object_ids: IntArray
    source: str


def load_truth(annotations: Path | None, rng: np.random.Generator) -> BenchmarkTruth:
    """Real annotations in their JSON form where given, else synthetic ones of the test set's shape."""
    if annotations is None:
        return _synthetic_truth(rng)
    real = read_hicodet_json(annotations)
    return BenchmarkTruth(real.truth, real.sizes, real.rare, real.vocabulary.hoi_object_ids, annotations.name)


def _synthetic_truth(rng: np.random.Generator) -> BenchmarkTruth:
    """Pairs over 640 x 480 images, with a long-tailed class distribution."""
    frequency = 1 / np.arange(1, NUM_HOIS + 1)
    hoi_id = rng.choice(NUM_HOIS, NUM_PAIRS, p=frequency / frequency.sum())
    sizes = np.tile(np.array([[640, 480]]), (NUM_IMAGES, 1))
    truth = GroundTruth(
        image_index=np.sort(rng.integers(0, NUM_IMAGES, NUM_PAIRS)).astype(np.int32),
        hoi_id=hoi_id.astype(np.int16),
        human_boxes=_random_boxes(rng, sizes[:1].repeat(NUM_PAIRS, axis=0)),
        object_boxes=_random_boxes(rng, sizes[:1].repeat(NUM_PAIRS, axis=0)),
        num_images=NUM_IMAGES,
    )
    rare = np.bincount(hoi_id, minlength=NUM_HOIS) < 10
    return BenchmarkTruth(truth, sizes, rare, np.arange(NUM_HOIS) % NUM_OBJECTS, "synthetic")


def _random_boxes(rng: np.random.Generator, sizes: IntArray) -> FloatArray:
    """Boxes inside images of [T, 2] width, height; float32 [T, 4]."""
    corners = rng.random((2, len(sizes), 2), dtype=np.float32) * sizes
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)], axis=1).astype(np.float32)


def plausible_detections(world: BenchmarkTruth, num_rows: int, rng: np.random.Generator) -> Detections:
    """Triplets in image order, some near the image's annotated pairs and of their class."""
    near = rng.random(num_rows) < _SHARE_NEAR_PAIR
    own_class = near & (rng.random(num_rows) < _SHARE_OWN_CLASS / _SHARE_NEAR_PAIR)
    return _detections(world, near, own_class, rng, in_image_order=True)


def hardest_detections(world: BenchmarkTruth, num_rows: int, rng: np.random.Generator) -> Detections:
    """Triplets that all have boxes to be compared with, near a pair of their own image and class, in no order."""
    every = np.ones(num_rows, dtype=np.bool_)
    return _detections(world, every, every, rng, in_image_order=False)


def _detections(
    world: BenchmarkTruth,
    near: NDArray[np.bool_],
    own_class: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    in_image_order: bool,
) -> Detections:
    """Triplets near an annotated pair where `near` [T], of its class where `own_class` [T]."""
    truth, num_hois, num_rows = world.truth, len(world.rare), len(near)
    pair = rng.integers(0, len(truth), num_rows)
    image_index = np.where(near, truth.image_index[pair], rng.integers(0, truth.num_images, num_rows))
    order = np.argsort(image_index, kind="stable") if in_image_order else np.arange(num_rows)
    near, own_class, pair, image_index = near[order], own_class[order], pair[order], image_index[order]
    hoi_id = np.where(own_class, truth.hoi_id[pair], rng.integers(0, num_hois, num_rows))
    sizes = world.sizes[image_index]
    return Detections(
        image_index=image_index.astype(np.int32),
        hoi_id=hoi_id.astype(np.int16),
        human_boxes=_near_or_anywhere(truth.human_boxes[pair], near, sizes, rng),
        object_boxes=_near_or_anywhere(truth.object_boxes[pair], near, sizes, rng),
        scores=(rng.random(num_rows, dtype=np.float32) ** 4) * np.where(own_class, np.float32(1), np.float32(0.5)),
    )


def _near_or_anywhere(
    annotated: FloatArray, near: NDArray[np.bool_], sizes: IntArray, rng: np.random.Generator
) -> FloatArray:
    """Jittered annotated boxes where `near`, random boxes elsewhere; clipped to the image, float32 [T, 4]."""
    boxes = _random_boxes(rng, sizes)
    boxes[near] = annotated[near] + rng.normal(0, _JITTER, (int(near.sum()), 4)).astype(np.float32)
    corners = boxes.reshape(-1, 2, 2).clip(0, sizes[:, None].astype(np.float32))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
