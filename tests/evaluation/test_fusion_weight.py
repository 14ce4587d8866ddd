import dataclasses

import numpy as np

from pipeline.core.types import Detections
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.fusion import fuse_factors
from pipeline.evaluation.fusion_weight import WEIGHTS, best_of_cells, sweep_fusion_weight
from pipeline.evaluation.hicodet import Rules
from pipeline.store.dump import open_dump, write_dump
from pipeline.truth.ground_truth import GroundTruth
from tests.evaluation.test_fusion import WHOLE, dump_of

VOCABULARY = Vocabulary(
    objects=("person", "bicycle", "cup"), verbs=("ride", "hold"), hoi_classes=((0, 1), (1, 1), (1, 2))
)


def triplets(image_index, hoi_id) -> Detections:
    corner = np.arange(len(image_index), dtype=np.float32)[:, None].repeat(2, 1)
    boxes = np.concatenate([corner, corner + 9], 1)
    scores = np.zeros(len(image_index), np.float32)
    return Detections(np.array(image_index, np.int32), np.array(hoi_id, np.int16), boxes, boxes, scores)


def test_the_best_row_of_each_image_and_class_is_kept_the_first_of_equals():
    detections = triplets([0, 0, 0, 1, 1, 0], [2, 2, 1, 2, 2, 2])
    rows = best_of_cells(detections, np.array([0.1, 0.7, 0.2, 0.5, 0.5, 0.7]))
    assert rows.tolist() == [1, 2, 3]
    kept = detections.take(rows)
    assert kept.hoi_id.tolist() == [2, 1, 2] and kept.object_boxes[0, 0] == detections.object_boxes[1, 0]


def test_nothing_has_no_best_row():
    assert len(best_of_cells(triplets([], []), np.zeros(0))) == 0


def test_every_point_is_a_whole_evaluation(tmp_path):
    """Images of three people and two bicycles, a fifth of all triplets annotated."""
    pairs = [(human, thing) for human in range(3) for thing in (3, 4)]
    dump = dump_of(VOCABULARY, [[0, 0, 0, 1, 1]] * 8, [pairs] * 8, seed=4)
    boxes = 10 * np.arange(len(dump.boxes), dtype=np.float32)[:, None] + np.array([0, 0, 8, 8], np.float32)
    dump = dataclasses.replace(dump, boxes=boxes)
    detections, factors = fuse_factors(dump, WHOLE)
    shown = detections.take(np.random.default_rng(0).permutation(len(detections))[: len(detections) // 5])
    truth = GroundTruth(shown.image_index, shown.hoi_id, shown.human_boxes, shown.object_boxes, num_images=8)
    write_dump(tmp_path / "dump.zarr", **vars(dump))
    found = sweep_fusion_weight(open_dump(tmp_path / "dump.zarr"), WHOLE, truth)
    best = best_of_cells(detections, factors.with_weights({"global": 0.0}).scores())
    for kind, rows in {"all": slice(None), "best": best}.items():
        for weight in WEIGHTS:
            scored = dataclasses.replace(detections, scores=factors.with_weights({"global": weight}).scores())
            alone = evaluate_hicodet(scored.take(rows), truth, Rules(VOCABULARY.hoi_object_ids))
            assert found.pop((kind, weight)) == 100 * alone.mean_ap > 0
    assert not found
