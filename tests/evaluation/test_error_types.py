"""Each type of error on pairs worked out by hand, and the gains against a plain evaluation of fixed detections.

Classes 0 and 1 are two verbs with object 0, classes 2 and 3 with object 1, classes 4 and 5 with object 2.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.core.boxes import box_iou
from pipeline.core.types import Detections
from pipeline.evaluation import engine
from pipeline.evaluation.engine import InMemory, evaluate_hicodet, evaluate_rankings
from pipeline.evaluation.error_gains import ErrorAnalysis
from pipeline.evaluation.error_types import ERROR_TYPES, MISSED_TYPES
from pipeline.evaluation.hicodet import Rules
from pipeline.report.selection import best_rows
from pipeline.truth.ground_truth import GroundTruth
from tests.evaluation import worlds
from tests.evaluation.worlds import detections, ground_truth

RULES = Rules(worlds.HOI_OBJECT_IDS)
HUMAN, OBJECT = (0, 0, 10, 10), (20, 0, 30, 10)
HALF, FIFTH, TENTH = (0, 0, 10, 5), (0, 0, 10, 2), (0, 0, 10, 1)  # IoU with HUMAN
OTHER_HUMAN, OTHER_OBJECT = (40, 0, 50, 10), (60, 0, 70, 10)
FAR = (80, 80, 90, 90)


def errors_of(found: Detections, truth: GroundTruth, setting="default") -> ErrorAnalysis:
    rules = dataclasses.replace(RULES, setting=setting)
    errors = evaluate_rankings(InMemory(found), truth, rules, keep_matches=True).errors
    assert errors is not None
    return errors


def types_of(found_rows, truth_rows, setting="default", num_images=1) -> list[str]:
    errors = errors_of(detections(found_rows), ground_truth(truth_rows, num_images), setting)
    return [(*ERROR_TYPES, "none")[kind] for kind in errors.error]


def missed_of(found_rows, truth_rows, num_images=1) -> list[str]:
    errors = errors_of(detections(found_rows), ground_truth(truth_rows, num_images))
    return [(*MISSED_TYPES, "found")[kind] for kind in errors.missed]


ONE = [(0, 0, HUMAN, OBJECT)]
TWO = [(0, 0, HUMAN, OBJECT), (0, 0, OTHER_HUMAN, OTHER_OBJECT)]


def test_right_and_duplicate():
    found = [(0, 0, HUMAN, OBJECT, 0.5), (0, 0, HALF, OBJECT, 0.9), (0, 0, HUMAN, OBJECT, 0.5)]
    assert types_of(found, ONE) == ["duplicate", "right", "duplicate"]  # an overlap of a half counts


def test_a_wrong_verb_is_on_a_pair_of_its_category():
    assert types_of([(0, 1, HUMAN, OBJECT, 0.9)], ONE) == ["wrong_verb"]
    assert types_of([(0, 1, HALF, OBJECT, 0.9)], ONE) == ["wrong_verb"]
    assert types_of([(0, 1, FIFTH, OBJECT, 0.9)], ONE) == ["background"]  # two things are wrong
    # before localization: a verb of this pair is wrong, though a pair of its class is near
    near = [*ONE, (0, 1, HUMAN, (20, 0, 30, 30))]
    assert types_of([(0, 1, HUMAN, OBJECT, 0.9)], near) == ["wrong_verb"]


def test_a_wrong_association_joins_boxes_of_different_pairs():
    assert types_of([(0, 0, HUMAN, OTHER_OBJECT, 0.9)], TWO) == ["wrong_association"]
    assert types_of([(0, 1, HUMAN, OTHER_OBJECT, 0.9)], TWO) == ["wrong_association"]  # whatever its verb
    assert types_of([(0, 2, HUMAN, OTHER_OBJECT, 0.9)], TWO) == ["background"]  # no object of its category is there
    assert types_of([(0, 0, HUMAN, FAR, 0.9)], TWO) == ["background"]
    other_image = [(0, 0, HUMAN, OBJECT), (1, 0, OTHER_HUMAN, OTHER_OBJECT)]
    assert types_of([(0, 0, HUMAN, OTHER_OBJECT, 0.9)], other_image, num_images=2) == ["background"]
    # before wrong category: both boxes are those of a pair with object 1 and, apart, of pairs with object 0
    crowd = [(0, 2, HUMAN, OTHER_OBJECT), (0, 0, HUMAN, OBJECT), (0, 0, OTHER_HUMAN, OTHER_OBJECT)]
    assert types_of([(0, 0, HUMAN, OTHER_OBJECT, 0.9)], crowd) == ["wrong_association"]


@pytest.mark.parametrize(
    ("box", "expected"), [(FIFTH, "localization"), (TENTH, "localization"), ((0, 0, 9, 1), "background")]
)
def test_localization_is_an_overlap_of_a_tenth_to_a_half(box, expected):
    assert types_of([(0, 0, box, OBJECT, 0.9)], ONE) == [expected]
    # before wrong category
    both = [(0, 0, HUMAN, box), (0, 2, HUMAN, HUMAN)]
    found = types_of([(0, 0, HUMAN, HUMAN, 0.9)], both)
    assert found == ["localization" if expected == "localization" else "wrong_category"]


def test_a_wrong_category_is_on_a_pair_of_another():
    assert types_of([(0, 2, HUMAN, OBJECT, 0.9), (0, 5, HALF, OBJECT, 0.8)], ONE) == ["wrong_category"] * 2


def test_background_is_all_else():
    assert types_of([(0, 0, FAR, FAR, 0.9), (1, 0, HUMAN, OBJECT, 0.9)], ONE, num_images=2) == ["background"] * 2


def test_what_a_setting_does_not_count_has_no_type():
    found = [(0, 0, HUMAN, OBJECT, 0.9), (0, 1, HUMAN, OBJECT, 0.8), (0, 2, HUMAN, OBJECT, 0.7)]
    assert types_of(found, ONE, "known_object") == ["right", "wrong_verb", "none"]
    assert types_of(found, ONE, "explanation_hoi") == ["right", "none", "none"]


def test_a_setting_says_what_fits_and_what_is_selected():
    assert types_of([(0, 0, HALF, OBJECT, 0.9)], ONE, "upt") == ["localization"]  # more than a half is asked for
    copies = [(0, 0, HUMAN, OBJECT, 0.9), (0, 0, HUMAN, OBJECT, 0.8), (0, 1, HUMAN, OBJECT, 0.7)]
    assert types_of(copies, ONE, "gen_vlkt") == ["right", "wrong_verb"]  # pair suppression leaves no duplicate


def test_below_threshold_is_claimed_after_break_even():
    truth = [(0, 0, HUMAN, OBJECT), (0, 2, OTHER_HUMAN, OTHER_OBJECT)]
    found = [(0, 0, FAR, FAR, 0.9), (0, 0, HUMAN, OBJECT, 0.8), (0, 2, OTHER_HUMAN, OTHER_OBJECT, 0.1)]
    assert missed_of(found, truth) == ["below_threshold", "found"]  # one of each class counts
    errors = errors_of(detections(found), ground_truth(truth, 1))
    counts = {name: count.tolist() for name, count in errors.counts().items() if count.any()}
    assert counts == {
        "right": [0, 0, 1, 0, 0, 0],
        "background": [1, 0, 0, 0, 0, 0],
        "below_threshold": [1, 0, 0, 0, 0, 0],
    }


def test_a_class_that_was_never_predicted_has_a_pair_that_fits():
    assert missed_of([(0, 1, HALF, OBJECT, 0.9)], ONE) == ["class_never_predicted"]
    assert missed_of([(0, 2, HUMAN, OBJECT, 0.9)], ONE) == ["class_never_predicted"]


def test_without_a_pair_that_fits_none_is_proposed():
    assert missed_of([], ONE) == ["no_proposal_pair"]
    assert missed_of([(0, 0, FIFTH, OBJECT, 0.9), (0, 0, HUMAN, FAR, 0.9)], ONE) == ["no_proposal_pair"]
    # one pair fits both, and points at the nearer
    crowd = [*ONE, (0, 0, HALF, OBJECT)]
    assert missed_of([(0, 0, HUMAN, OBJECT, 0.9)], crowd) == ["found", "no_proposal_pair"]


def test_gains_by_hand():
    """One class of two pairs: its list is wrong verb, right, localization; AP by 11 points."""
    truth = ground_truth([(0, 0, HUMAN, OBJECT), (0, 0, OTHER_HUMAN, OTHER_OBJECT), (0, 1, FAR, FAR)], 1)
    rows = [(0, 0, FAR, FAR, 0.9), (0, 0, HUMAN, OBJECT, 0.8), (0, 0, OTHER_HUMAN, (60, 0, 70, 2), 0.7)]
    # precision 1/2 up to recall 1/2: 6 of 11 levels; 5/6 of the classes have AP 0
    base = 6 * (1 / 2) / 11 / 6
    errors = errors_of(detections(rows), truth)
    assert [ERROR_TYPES[kind] for kind in errors.error] == ["wrong_verb", "right", "localization"]
    expected = dict.fromkeys(errors.gains, 0.0) | {
        # it becomes right in class 1 (AP 1), and the right one stands first (AP 6/11)
        "wrong_verb": (1 + 6 / 11) / 6 - base,
        # it finds the second pair: precisions 1/2 and 2/3, so 2/3 at all levels
        "localization": 2 / 3 / 6 - base,
        # the second pair need not be found: precision 1/2 up to recall 1; so need not that of class 1
        "no_proposal_pair": 1 / 2 / 6 - base,
    }
    assert errors.gains == pytest.approx(expected, abs=1e-12)


# Random worlds, against a second way to each figure


def mixed_world(seed: int, num_gt: int = 40, num_detections: int = 250) -> tuple[GroundTruth, Detections]:
    """Boxes near annotated ones of 5 images, some of another pair, some of another class; scores have ties."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 60, (2, num_gt, 2))
    humans, objects = np.concatenate([corners, corners + rng.integers(6, 14, (2, num_gt, 2))], axis=2)
    images, classes = np.sort(rng.integers(0, 5, num_gt)), rng.integers(0, worlds.NUM_HOIS - 1, num_gt)
    truth = ground_truth(list(zip(images, classes, humans, objects, strict=True)), 6)
    near = np.sort(rng.integers(0, num_gt, num_detections))
    partner = np.where(rng.random(num_detections) < 0.2, (near + 1) % num_gt, near)
    others = rng.integers(0, worlds.NUM_HOIS, num_detections)
    hois = np.where(rng.random(num_detections) < 0.4, others, classes[near])
    found = [
        boxes[rows] + rng.integers(-2, 3, (num_detections, 4)) for boxes, rows in ((humans, near), (objects, partner))
    ]
    return truth, detections(
        list(zip(images[near], hois, *found, rng.integers(0, 30, num_detections) / 30, strict=True))
    )


def overlaps(found: Detections, row: int, truth: GroundTruth) -> np.ndarray:
    """IoU of the humans and of the objects with every annotated pair, 0 in other images, [2, G]."""
    own = truth.image_index == found.image_index[row]
    humans, objects = (
        box_iou(found.human_boxes[row], truth.human_boxes),
        box_iou(found.object_boxes[row], truth.object_boxes),
    )
    return np.stack([humans, objects]) * own


def type_of(found: Detections, row: int, truth: GroundTruth, hit: bool, is_matched: bool) -> str:
    """The definitions, word by word."""
    human, partner = overlaps(found, row, truth)
    overlap, category = np.minimum(human, partner), worlds.HOI_OBJECT_IDS[found.hoi_id[row]]
    same_class, same_category = truth.hoi_id == found.hoi_id[row], worlds.HOI_OBJECT_IDS[truth.hoi_id] == category
    holds = {
        "right": hit,
        "duplicate": is_matched,
        "wrong_verb": (overlap[same_category] >= 0.5).any(),
        "wrong_association": (human >= 0.5).any() and (partner[same_category] >= 0.5).any(),
        "localization": (overlap[same_class] >= 0.1).any(),
        "wrong_category": (overlap >= 0.5).any(),
        "background": True,
    }
    return next(name for name in ERROR_TYPES if holds[name])


@pytest.mark.parametrize("seed", range(3))
def test_types_are_the_first_that_applies(seed):
    truth, found = mixed_world(seed)
    result, errors = evaluate_hicodet(found, truth, RULES, keep_matches=True), errors_of(found, truth)
    matched = result.matched_index >= 0
    expected = [type_of(found, row, truth, result.hits[row], matched[row]) for row in range(len(found))]
    assert [ERROR_TYPES[kind] for kind in errors.error] == expected
    assert set(expected) == set(ERROR_TYPES)
    best = best_rows(
        found.hoi_id, found.scores, found.image_index, np.bincount(truth.hoi_id, minlength=worlds.NUM_HOIS)
    )
    cells = found.hoi_id[best] * len(ERROR_TYPES) + errors.error[best]
    np.testing.assert_array_equal(errors.at_break_even.ravel(), np.bincount(cells, minlength=errors.at_break_even.size))
    found_there = errors.at_break_even[:, 0].sum()
    assert errors.num_missed.sum() == len(truth) - found_there == (errors.missed >= 0).sum()
    claimed = result.matched_index[result.hits]
    assert (errors.missed[claimed] <= 0).all() and (np.delete(errors.missed, claimed) > 0).all()


def fixed(found: Detections, truth: GroundTruth, errors: ErrorAnalysis, name: str) -> Detections:
    """Detections with one type fixed, one at a time."""
    unclaimed, wishes = errors.missed > 0, {}
    own = np.flatnonzero(errors.error == ERROR_TYPES.index(name)).tolist()
    for row in own:
        overlap = overlaps(found, row, truth).min(axis=0)
        same_category = worlds.HOI_OBJECT_IDS[truth.hoi_id] == worlds.HOI_OBJECT_IDS[found.hoi_id[row]]
        reachable = {
            "wrong_verb": (overlap >= 0.5) & same_category & unclaimed,
            "wrong_category": (overlap >= 0.5) & unclaimed,
            "localization": (overlap >= 0.1) & (truth.hoi_id == found.hoi_id[row]),
        }.get(name, np.zeros(len(truth), bool))
        other = int(np.where(reachable, overlap, -1).argmax())
        if reachable[other] and unclaimed[other]:
            wishes.setdefault(other, []).append((-found.scores[row], row))
    right = {min(rows)[1]: other for other, rows in wishes.items()}
    columns = {column: values.copy() for column, values in vars(found).items()}
    for row, other in right.items():
        for column in ("hoi_id", "human_boxes", "object_boxes"):
            columns[column][row] = getattr(truth, column)[other]
    return Detections(**columns).take(np.setdiff1d(np.arange(len(found)), np.setdiff1d(own, list(right))))


@pytest.mark.parametrize("setting", ["default", "known_object", "explanation_hoi"])
@pytest.mark.parametrize("seed", range(3))
def test_gains_are_those_of_an_evaluation_of_fixed_detections(seed, setting, monkeypatch):
    truth, found = mixed_world(seed)
    rules = dataclasses.replace(RULES, setting=setting)
    base = evaluate_hicodet(found, truth, rules)
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 2)
    monkeypatch.setattr(engine, "_TASKS", 2)
    errors = errors_of(found, truth, setting)
    monkeypatch.undo()
    for name in ERROR_TYPES[1:]:
        result = evaluate_hicodet(fixed(found, truth, errors, name), truth, rules)
        assert errors.gains[name] == pytest.approx(result.mean_ap - base.mean_ap, abs=1e-12), name
        hits = len(result.hit_hoi_id) - len(base.hit_hoi_id)
        assert (hits > 0) == (name in ("wrong_verb", "localization", "wrong_category")) or setting == "explanation_hoi"


def test_blocks_and_threads_change_nothing(monkeypatch):
    truth, found = mixed_world(0)
    whole = errors_of(found, truth)
    for images_at_once, scheduler in ((1, None), (2, "threads"), (4, None)):
        monkeypatch.setattr(engine, "IMAGES_AT_ONCE", images_at_once)
        errors = evaluate_rankings(InMemory(found), truth, RULES, keep_matches=True, scheduler=scheduler).errors
        for name in ("error", "missed", "at_break_even", "num_missed"):
            np.testing.assert_array_equal(getattr(errors, name), getattr(whole, name))
        assert errors.gains == whole.gains
