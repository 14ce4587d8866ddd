from __future__ import annotations

import numpy as np

from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.error_types import BACKGROUND, DUPLICATE, RIGHT
from pipeline.evaluation.fusion import Factors
from pipeline.evaluation.hicodet import Rules
from pipeline.report.selection import DrawnPair, Findings, Label, best_rows, compared, pairs_of_image, sample_indices
from tests.evaluation.worlds import detections, ground_truth

PERSON, OTHER = (4, 4, 16, 40), (44, 4, 58, 40)
BICYCLE, CUP = (20, 20, 32, 40), (48, 46, 58, 58)


def test_sample_takes_the_middle_of_equal_stretches():
    assert sample_indices(10, 2).tolist() == [2, 7]
    assert sample_indices(600, 24)[[0, 1, -1]].tolist() == [12, 37, 587]
    assert sample_indices(3, 24).tolist() == [0, 1, 2]
    assert sample_indices(0, 24).tolist() == []


def test_as_many_rows_of_a_class_as_it_has_annotations():
    truth = ground_truth([(0, 0, PERSON, BICYCLE), (1, 0, PERSON, BICYCLE), (1, 2, OTHER, CUP)], 2)
    scored = [(0, 0, 0.3), (0, 0, 0.2), (0, 1, 0.9), (1, 0, 0.2), (1, 2, 0.1), (1, 2, 0.05)]
    found = detections([(image, hoi, PERSON, BICYCLE, score) for image, hoi, score in scored])
    # class 0 keeps two of three (the tie goes to the earlier image), class 1 none, class 2 one
    num_gt = np.bincount(truth.hoi_id, minlength=4)
    assert best_rows(found.hoi_id, found.scores, found.image_index, num_gt).tolist() == [0, 1, 4]


def show(vocabulary, found_rows, truth_rows, pairs_per_image=4) -> tuple[DrawnPair, ...]:
    found, truth = detections(found_rows), ground_truth(truth_rows, 1)
    result = evaluate_hicodet(found, truth, Rules(vocabulary.hoi_object_ids), keep_matches=True)
    num_gt = np.bincount(truth.hoi_id, minlength=vocabulary.num_hois)
    rows = best_rows(found.hoi_id, found.scores, found.image_index, num_gt)
    ones = np.ones(len(rows))
    values = {"pairwise": np.linspace(0, 1, len(rows)), "detector": ones, "relatedness": ones / 4}
    factors = Factors(values, {})
    errors = np.where(result.hits, RIGHT, np.where(result.matched_index >= 0, DUPLICATE, BACKGROUND))
    best = Findings(found.take(rows), errors[rows], result.matched_index[rows], factors)
    return pairs_of_image(best, truth, vocabulary, image=0, pairs_per_image=pairs_per_image)


def test_classes_of_one_pair_share_it_and_a_missed_one_joins_the_found_pair(vocabulary):
    found = [(0, 0, PERSON, BICYCLE, 0.5), (0, 1, OTHER, CUP, 0.75)]
    truth = [(0, 0, PERSON, BICYCLE), (0, 1, PERSON, BICYCLE), (0, 2, OTHER, CUP)]
    wrong, right, missed = show(vocabulary, found, truth)
    assert wrong.labels == (Label("hold bicycle", 0.75, "wrong"),) and wrong.verdict == "wrong"
    ride = Label("ride bicycle", 0.5, "right")
    assert right.labels == (ride, Label("hold bicycle", None, "missed")) and right.verdict == "right"
    assert missed.labels == (Label("hold cup", None, "missed"),) and missed.human_box.tolist() == list(OTHER)


def test_second_detection_of_an_annotation_is_wrong_and_says_so(vocabulary):
    shifted = (20, 20, 33, 40)
    found = [(0, 0, PERSON, shifted, 0.5), (0, 0, PERSON, BICYCLE, 0.75)]
    first, second = show(vocabulary, found, [(0, 0, PERSON, BICYCLE), (0, 0, OTHER, CUP)])[:2]
    assert [label.verdict for label in (*first.labels, *second.labels)] == ["right", "wrong"]
    assert second.labels[0].repeated and not first.labels[0].repeated


def test_pairs_past_the_limit_are_left_out_and_their_annotations_count_as_missed(vocabulary):
    found = [(0, 0, PERSON, BICYCLE, 0.5), (0, 2, OTHER, CUP, 0.75)]
    pairs = show(vocabulary, found, [(0, 0, PERSON, BICYCLE), (0, 2, OTHER, CUP)], pairs_per_image=1)
    shown = [(pair.labels[0].name, pair.verdict) for pair in pairs]
    assert shown == [("hold cup", "right"), ("ride bicycle", "missed")]


def test_ours_is_held_against_the_baseline_where_both_are_there():
    assert compared(["exp1", "ours", "baseline"]) == ("ours", "baseline")
    assert compared(["exp1", "exp3"]) == ("exp3", "exp1")
    assert compared(["ours"]) == ("ours", None)
