"""What needs no network, at HICO-DET's sizes: evaluating a dump of random logits, and reading a split's manifest.

The toyworld's 40 HOI classes and three pairs per image say little about the memory of either.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dump import random_dump
from benchmarks.measure import ROOT, peak_resident_bytes, seconds_of
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.core.class_groups import ClassGroups
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest, read_split, write_split
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.row import score_dump
from pipeline.store.dump import PredictionDump, open_dump, write_dump
from pipeline.truth.ground_truth import GroundTruth

_PAIRS_PER_IMAGE = 4  # annotated
_COLUMNS = ("image_index", "hoi_id", "human_boxes", "object_boxes")


def truth_of(dump: PredictionDump, rng: np.random.Generator) -> GroundTruth:
    """A few annotated pairs per image that are detected pairs, each of a class of its object."""
    classes: list[list[int]] = [[] for _ in dump.vocabulary.objects]
    for hoi_id, object_id in enumerate(dump.vocabulary.hoi_object_ids.tolist()):
        classes[object_id].append(hoi_id)
    image = np.repeat(np.arange(len(dump)), _PAIRS_PER_IMAGE)
    pair = dump.pair_offsets[image] + rng.integers(0, np.diff(dump.pair_offsets)[image])
    human, partner = (dump.proposal_offsets[image] + index[pair] for index in (dump.human_index, dump.object_index))
    hoi_ids = [int(rng.choice(classes[object_id])) for object_id in dump.object_ids[partner].tolist()]
    return GroundTruth(
        image_index=image.astype(np.int32),
        hoi_id=np.array(hoi_ids, np.int16),
        human_boxes=dump.boxes[human],
        object_boxes=dump.boxes[partner],
        num_images=len(dump),
    )


def prepare_evaluation(path: Path, truth: GroundTruth) -> Callable[[], object]:
    """The work of `evaluate` on a dump, with its sweeps of weights."""
    params = load_params(ROOT / "params.yaml", "hicodet", Run("ours"))[EvaluateParams]
    dump = open_dump(path)
    groups = ClassGroups.of(dump.vocabulary.num_hois)
    columns: dict[str, Any] = {name: getattr(truth, name)[:0] for name in _COLUMNS}
    nothing = GroundTruth(**columns, num_images=1)
    score_dump(dump, params, nothing, groups)  # one image: loads what only a first call has to
    return partial(score_dump, dump, params, truth, groups, sweep=True)


def measure_evaluation(folder: Path, num_images: int) -> dict[str, float]:
    """Seconds and peak memory of `evaluate` on a random dump, per image and whole."""
    path = folder / f"{num_images}.zarr"
    dump = random_dump(num_images, np.random.default_rng(0))
    write_dump(path, **vars(dump))
    truth = truth_of(dump, np.random.default_rng(1))
    del dump
    seconds = seconds_of(prepare_evaluation(path, truth))
    return {
        "images": num_images,
        "seconds": seconds,
        "milliseconds_per_image": 1e3 * seconds / num_images,
        "peak_mib": peak_resident_bytes(prepare_evaluation, path, truth) / 2**20,
    }


def prepare_reading(path: Path, vocabulary: Vocabulary) -> Callable[[], object]:
    """Reading a manifest."""
    return partial(read_split, path, vocabulary)


def measure_manifest(folder: Path, num_images: int) -> dict[str, float]:
    """Size of a split manifest, and what reading it takes, per image."""
    records = tuple(
        ImageRecord(f"HICO_train2015_{index:08d}", f"train2015/HICO_train2015_{index:08d}.jpg", 640, 480, "0" * 64)
        for index in range(num_images)
    )
    labels = tuple(ImageLabels(record.image_id, np.array([3, 7, 11])) for record in records)
    path = folder / "train.json"
    written = write_split(path, SplitManifest("hicodet", "train", "images", records, labels))
    vocabulary = random_dump(0, np.random.default_rng(0)).vocabulary
    return {
        "images": num_images,
        "bytes_per_image": sum(file.stat().st_size for file in written) / num_images,
        "microseconds_per_image": 1e6 * seconds_of(prepare_reading(path, vocabulary)) / num_images,
        "peak_bytes_per_image": peak_resident_bytes(prepare_reading, path, vocabulary) / num_images,
    }
