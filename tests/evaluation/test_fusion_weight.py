import dataclasses

import numpy as np

import pipeline.evaluation.hicodet
from pipeline.core.types import Detections
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.fusion import fuse_factors
from pipeline.evaluation.fusion_weight import KINDS, WEIGHTS, best_of_cells, sweep_fusion_weight, take
from pipeline.evaluation.hicodet import evaluate_hicodet
from pipeline.evaluation.matching import best_pairs
from pipeline.truth.ground_truth import GroundTruth
from tests.evaluation.test_fusion import WHOLE, dump_of

VOCABULARY = Vocabulary(
    objects=("person", "bicycle", "cup"), verbs=("ride", "hold"), hoi_classes=((0, 1), (1, 1), (1, 2))
)
RARE = np.array([True, False, False])


def triplets(image_index, hoi_id) -> Detections:
    corner = np.arange(len(image_index), dtype=np.float32)[:, None].repeat(2, 1)
    boxes = np.concatenate([corner, corner + 9], 1)
    scores = np.zeros(len(image_index), np.float32)
    return Detections(np.array(image_index, np.int32), np.array(hoi_id, np.int16), boxes, boxes, scores)


def test_the_best_row_of_each_image_and_class_is_kept_the_first_of_equals():
    detections = triplets([0, 0, 0, 1, 1, 0], [2, 2, 1, 2, 2, 2])
    rows = best_of_cells(detections, np.array([0.1, 0.7, 0.2, 0.5, 0.5, 0.7]))
    assert rows.tolist() == [1, 2, 3]
    kept = take(detections, rows)
    assert kept.hoi_id.tolist() == [2, 1, 2] and kept.object_boxes[0, 0] == detections.object_boxes[1, 0]


def test_nothing_has_no_best_row():
    assert len(best_of_cells(triplets([], []), np.zeros(0))) == 0


def test_every_point_is_a_whole_evaluation_though_boxes_are_matched_once(monkeypatch):
    """Images of three people and two bicycles, a fifth of all triplets annotated."""
    pairs = [(human, thing) for human in range(3) for thing in (3, 4)]
    dump = dump_of(VOCABULARY, [[0, 0, 0, 1, 1]] * 8, [pairs] * 8, seed=4)
    boxes = 10 * np.arange(len(dump.boxes), dtype=np.float32)[:, None] + np.array([0, 0, 8, 8], np.float32)
    dump = dataclasses.replace(dump, boxes=boxes)
    detections, factors = fuse_factors(dump, WHOLE)
    shown = take(detections, np.random.default_rng(0).permutation(len(detections))[: len(detections) // 5])
    truth = GroundTruth(shown.image_index, shown.hoi_id, shown.human_boxes, shown.object_boxes, num_images=8)
    matchings = []
    monkeypatch.setattr(
        pipeline.evaluation.hicodet, "best_pairs", lambda *given: matchings.append(given) or best_pairs(*given)
    )
    found = sweep_fusion_weight(dump, WHOLE, truth, RARE)
    assert len(matchings) == 1
    plain = factors.with_weights({"global": 0.0}).scores().astype(np.float64)
    for kind in KINDS:
        for weight in WEIGHTS:
            scores = (plain * factors.values["global"] ** weight).astype(np.float32)
            scored = dataclasses.replace(detections, scores=scores)
            alone = evaluate_hicodet(
                scored if kind == "all" else take(scored, best_of_cells(detections, plain)),
                truth,
                num_hois=3,
                rare=RARE,
                hoi_object_ids=VOCABULARY.hoi_object_ids,
            )
            assert found.pop((kind, weight)) == 100 * alone.full > 0
    assert not found
