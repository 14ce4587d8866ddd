from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import DataError, ParamError
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import Detections
from pipeline.evaluation import matching
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.hicodet import SETTINGS, Rules
from pipeline.truth.hicodet_annotations import read_hicodet_json
from tests.evaluation import references, worlds
from tests.evaluation.worlds import detections, ground_truth
from tests.truth.real_ground_truth import real_ground_truth

HUMAN, OBJECT = (0, 0, 10, 10), (20, 0, 30, 10)
FAR = (50, 50, 60, 60)


def evaluate(found, truth, num_hois=1, setting="default", *, hoi_object_ids=None, **changes):
    rules = Rules(np.zeros(num_hois, np.int64) if hoi_object_ids is None else hoi_object_ids, setting, changes)
    return evaluate_hicodet(found, truth, rules, keep_matches=True)


def evaluate_world(found, truth, setting="default"):
    return evaluate(found, truth, setting=setting, hoi_object_ids=worlds.HOI_OBJECT_IDS)


# The rules of PROTOCOLS.md, one by one


@pytest.mark.parametrize(
    ("human", "obj", "hit"),
    [
        (HUMAN, OBJECT, True),
        ((0, 0, 10, 5), OBJECT, True),  # IoU of humans exactly 0.5 counts
        ((0, 0, 10, 4), OBJECT, False),
        (HUMAN, (20, 0, 30, 5), True),
        (HUMAN, (20, 0, 30, 4), False),  # the smaller of the two decides: not the mean, not the human's
        ((0, 0, 10, 5), (20, 0, 30, 5), True),
        (FAR, FAR, False),
    ],
)
def test_overlap_is_the_smaller_iou_and_a_half_counts(human, obj, hit):
    truth = ground_truth([(0, 0, HUMAN, OBJECT)], 1)
    result = evaluate(detections([(0, 0, human, obj, 0.9)]), truth)
    assert result.hits.tolist() == [hit]
    assert result.mean_ap == float(hit)


SHIFTED = (3, 0, 13, 10)
RIGHT, NEAR = (0, 0, HUMAN, OBJECT), (0, 0, (1, 0, 11, 10), OBJECT)


@pytest.mark.parametrize(
    ("annotated", "detected", "hits", "matched"),
    [
        # widths 9 and 4: 4/9 is too little; read as inclusive pixels, widths 10 and 5 would pass
        ([(0, 0, (0, 0, 9, 1), OBJECT)], [(0, 0, (0, 0, 4, 1), OBJECT, 1)], [0], [-1]),
        # row 1 overlaps pair 0 best and pair 1 enough, but pair 0 is taken: there is no second choice
        ([RIGHT, (0, 0, SHIFTED, OBJECT)], [(*RIGHT, 0.9), (*NEAR, 0.8)], [1, 0], [0, 0]),
        ([RIGHT, RIGHT], [(*RIGHT, 0.9), (*RIGHT, 0.8)], [1, 0], [0, 0]),  # of equal pairs the first is the best
        ([RIGHT], [(*RIGHT, 0.5), (*RIGHT, 0.5)], [1, 0], [0, 0]),  # of equal scores the first row hits
        ([RIGHT], [(1, 0, HUMAN, OBJECT, 0.9), (0, 1, HUMAN, OBJECT, 0.9)], [0, 0], [-1, -1]),  # other image, class
        # pair 0 has the better object (1.0 against 0.9), pair 1 the better minimum: 0.9 against 0.6
        ([(0, 0, (0, 0, 10, 6), OBJECT), (0, 0, (0, 0, 10, 9), (20, 0, 30, 9))], [(*RIGHT, 0.9)], [1], [1]),
        ([(0, 0, HUMAN, (20, 0, 30, 6)), (0, 0, (0, 0, 10, 9), (20, 0, 30, 9))], [(*RIGHT, 0.9)], [1], [1]),
    ],
)
def test_a_detection_looks_at_its_best_ground_truth_only(annotated, detected, hits, matched):
    result = evaluate(detections(detected), ground_truth(annotated, 2), 2)
    assert (result.hits.tolist(), result.matched_index.tolist()) == (hits, matched)
    assert result.max_recall[0] == sum(hits) / len(annotated)


def test_ties_go_by_image_then_by_row():
    truth = ground_truth([(0, 0, HUMAN, OBJECT), (1, 0, HUMAN, OBJECT)], 2)
    wrong_last = detections([(1, 0, FAR, FAR, 0.5), (0, 0, HUMAN, OBJECT, 0.5), (1, 0, HUMAN, OBJECT, 0.5)])
    result = evaluate(wrong_last, truth)  # order: image 0 right, image 1 wrong, image 1 right
    assert result.hit_precision.tolist() == [1, 2 / 3]
    rows_swapped = evaluate(wrong_last.take([2, 1, 0]), truth)
    assert rows_swapped.hit_precision.tolist() == [1, 1]


def test_all_images_share_one_list():
    truth = ground_truth([(0, 0, HUMAN, OBJECT), (1, 0, HUMAN, OBJECT)], 2)
    found = detections([(0, 0, HUMAN, OBJECT, 0.2), (1, 0, FAR, FAR, 0.9), (1, 0, HUMAN, OBJECT, 0.1)])
    assert evaluate(found, truth).hit_precision.tolist() == [1 / 2, 2 / 3]


def test_there_is_no_limit_on_detections_of_an_image():
    truth = ground_truth([(0, 0, HUMAN, OBJECT)], 1)
    found = detections([(0, 0, FAR, FAR, 0.9)] * 499 + [(0, 0, HUMAN, OBJECT, 0.1)])
    result = evaluate(found, truth)
    assert result.max_recall[0] == 1
    assert result.mean_ap == pytest.approx(1 / 500)


def test_the_default_grid_is_the_official_one():
    truth = ground_truth([(i, 0, HUMAN, OBJECT) for i in range(10)], 10)
    found = detections([(i, 0, HUMAN, OBJECT, 0.9) for i in range(6)])
    assert evaluate(found, truth).mean_ap == pytest.approx(6 / 11)  # recall 0.6 does not reach 0.6000000000000001
    assert evaluate(found, truth, interpolation="tenths_11_point").mean_ap == pytest.approx(7 / 11)


def test_class_without_detections_is_0_and_without_ground_truth_nan_but_0_in_the_mean():
    truth = ground_truth([(0, 0, HUMAN, OBJECT), (0, 1, HUMAN, OBJECT)], 1)
    result = evaluate(detections([(0, 0, HUMAN, OBJECT, 0.9), (0, 2, FAR, FAR, 0.9)]), truth, 3)
    np.testing.assert_array_equal(result.ap, [1, 0, np.nan])
    np.testing.assert_array_equal(result.max_recall, [1, 0, np.nan])
    assert result.num_gt.tolist() == [1, 1, 0]
    assert result.num_detections.tolist() == [1, 0, 1]
    assert result.mean_ap == result.mean_max_recall == pytest.approx(1 / 3)


def test_images_without_pairs_are_kept():
    truth = ground_truth([(1, 0, HUMAN, OBJECT)], 2)
    found = detections([(0, 0, HUMAN, OBJECT, 0.9), (1, 0, HUMAN, OBJECT, 0.8)])
    assert evaluate(found, truth).mean_ap == 0.5


def test_groups_are_plain_means():
    truth = ground_truth([(0, h, HUMAN, OBJECT) for h in range(4)], 1)
    found = detections([(0, 0, HUMAN, OBJECT, 0.9), (0, 2, HUMAN, OBJECT, 0.9), (0, 3, HUMAN, OBJECT, 0.9)])
    rare = np.array([True, False, False, False])
    groups = ClassGroups.of(4, {"rare": rare, "non_rare": ~rare, "none": np.zeros(4, bool)})
    means = groups.means(evaluate(found, truth, 4).ap)
    assert np.isnan(means.pop("none"))
    assert means == {"full": 0.75, "rare": 1, "non_rare": pytest.approx(2 / 3)}
    assert groups.sizes() == {"full": 4, "rare": 1, "non_rare": 3, "none": 0}
    with pytest.raises(DataError, match=r"class group rare: shape \(3,\), expected one entry for each of 4 classes"):
        ClassGroups.of(4, {"rare": np.zeros(3, bool)})


# Settings. Classes 0 and 1 share object 0, class 2 has object 1.
OBJECTS = np.array([0, 0, 1])


def test_known_object_scores_a_class_where_any_interaction_of_its_object_shows():
    truth = ground_truth([(0, 0, HUMAN, OBJECT), (1, 1, HUMAN, OBJECT), (2, 2, HUMAN, OBJECT)], 4)
    wrong = [(i, 0, FAR, FAR, 0.9) for i in range(4)]
    found = detections([*wrong, (0, 0, HUMAN, OBJECT, 0.5)])
    assert evaluate(found, truth, 3, "default", hoi_object_ids=OBJECTS).ap[0] == pytest.approx(1 / 5)
    known = evaluate(found, truth, 3, "known_object", hoi_object_ids=OBJECTS)
    assert known.ap[0] == pytest.approx(1 / 3)  # images 0 and 1 show object 0; image 2 another one, image 3 none
    assert known.num_detections[0] == 3


def test_known_object_takes_image_level_labels_when_given():
    labels = np.zeros((4, 3), bool)
    labels[0, 0] = labels[3, 1] = True  # image 3 is labeled, though no pair is visible; image 1 is not
    truth = ground_truth([(0, 0, HUMAN, OBJECT), (1, 0, HUMAN, OBJECT)], 4, LabelRows.of_mask(labels))
    found = detections([(1, 0, FAR, FAR, 0.9), (3, 0, FAR, FAR, 0.9), (0, 0, HUMAN, OBJECT, 0.5)])
    result = evaluate(found, truth, 3, "known_object", hoi_object_ids=OBJECTS)
    assert result.ap[0] == pytest.approx(1 / 2)
    assert result.num_gt[0] == 1  # nor does its ground truth count


def test_explanation_hoi_drops_rows_of_classes_that_the_image_does_not_show():
    truth = ground_truth([(0, 0, HUMAN, OBJECT), (1, 1, HUMAN, OBJECT)], 2)
    found = detections([(1, 0, FAR, FAR, 0.9), (0, 0, FAR, FAR, 0.8), (0, 0, HUMAN, OBJECT, 0.5)])
    result = evaluate(found, truth, 3, "explanation_hoi", hoi_object_ids=OBJECTS)
    assert result.ap[0] == pytest.approx(1 / 2)  # image 1 shows no class 0: its row is gone; image 0's wrong row stays
    # all else official: a half counts, and there is no second choice
    assert evaluate(detections([(0, 0, (0, 0, 10, 5), OBJECT, 1)]), truth, 3, "explanation_hoi").hits[0]


WRONG = [(0, 0, FAR, (3 * i, 50, 3 * i + 1, 60), 0.9 - i / 1000) for i in range(100)]  # apart from each other


@pytest.mark.parametrize(
    ("setting", "detected", "ap"),
    [
        ("upt", [(0, 0, (0, 0, 10, 5), OBJECT, 0.9)], 0),  # an overlap of exactly 0.5 is too little
        ("upt", [(1, 0, FAR, FAR, 0.9), (*RIGHT, 0.8)], 1),  # image 1 has no pair: left out
        ("upt", [(0, 0, FAR, FAR, 0.9), (*RIGHT, 0.8)], 1 / 2),
        ("gen_vlkt", [(1, 0, FAR, FAR, 0.9), (*RIGHT, 0.8)], 1 / 2),  # here it counts
        # The annotated human is read as (1, 1, 11, 11), a detected one 1 pixel wider and higher.
        ("gen_vlkt", [(0, 0, (0, 0, 10, 5), OBJECT, 0.9)], 0),  # 10 x 5 pixels of 100 + 11 x 6 - 50
        ("gen_vlkt", [(0, 0, (0, 5, 10, 10), OBJECT, 0.9)], 1),  # 10 x 6 of 100 + 11 x 6 - 60
        (
            "gen_vlkt",
            [*[(0, 0, FAR, (i, 50, i + 1, 60), 0.9 - i / 1000) for i in range(0, 198, 2)], (*RIGHT, 0.1)],
            0.01,
        ),
        ("gen_vlkt", [*[(0, 0, FAR, (i, 50, i + 1, 60), 0.9 - i / 1000) for i in range(0, 200, 2)], (*RIGHT, 0.1)], 0),
        ("gen_vlkt", [(0, 1, FAR, FAR, 0.5), (*RIGHT, 0.5)], 0),  # of equal scores the first row, whatever its class
        ("gen_vlkt", [(0, 0, FAR, FAR, 0.9), (0, 0, FAR, (50, 50, 61, 60), 0.8), (*RIGHT, 0.5)], 1 / 2),  # suppressed
    ],
)
def test_deviations_of_repositories_one_by_one(setting, detected, ap):
    result = evaluate(detections(detected), ground_truth([RIGHT], 2), 2, setting)
    assert result.ap[0] == pytest.approx(ap)


def test_pair_suppression_is_an_option_of_every_setting():
    truth = ground_truth([RIGHT, (1, 1, HUMAN, OBJECT)], 2)
    near = (0, 0, HUMAN, (21, 0, 31, 10))  # overlap with RIGHT: IoU 1 of humans, 9/11 of objects, so 0.905
    rows = [(*near, 0.9), (*RIGHT, 0.9), (0, 1, *RIGHT[2:], 0.8), (1, 1, *RIGHT[2:], 0.7)]
    for largest, hits in ((0.91, [1, 0, 0, 1]), (0.9, [1, 0, 0, 1])):
        result = evaluate(detections(rows), truth, 2, pair_nms=largest)
        assert result.hits.tolist() == hits
        assert result.setting == f"default_pair_nms_{largest}"
        assert result.num_detections.tolist() == [2 if largest > 0.905 else 1, 2]  # other class, other image: kept
    assert evaluate(detections(rows[::-1]), truth, 2, pair_nms=0.9).matched_index.tolist() == [1, -1, 0, -1]


# Against the authors' evaluator, one detection at a time


def assert_equals_the_reference(found, truth, setting, hoi_object_ids=worlds.HOI_OBJECT_IDS):
    num_hois = len(hoi_object_ids)
    ap, recall = references.evaluate(found, truth, num_hois, hoi_object_ids, setting)
    result = evaluate(found, truth, num_hois, setting, hoi_object_ids=hoi_object_ids)
    np.testing.assert_allclose(result.ap, ap, atol=1e-12)
    np.testing.assert_allclose(result.max_recall, recall, atol=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("seed", range(12))
def test_equals_the_reference(seed, setting):
    truth, found = worlds.random_world(seed)
    assert_equals_the_reference(found, truth, setting)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_reference_where_images_have_more_than_100_detections(seed):
    truth, found = worlds.random_world(seed, 2000, 200)
    assert_equals_the_reference(found, truth, "gen_vlkt")


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_reference_with_image_level_labels(seed):
    truth, found = worlds.random_world(seed)
    labels = np.random.default_rng(seed).random((truth.num_images, worlds.NUM_HOIS)) < 0.3
    assert_equals_the_reference(found, replace(truth, image_hois=LabelRows.of_mask(labels)), "known_object")


def test_equals_the_reference_on_real_images():
    annotations = read_hicodet_json(real_ground_truth("hicodet", "instances_test2015.json"))
    num_images, rng = 25, np.random.default_rng(0)
    truth = annotations.truth.take_images(np.arange(num_images))
    near = rng.integers(0, len(truth), 1500)
    shown = rng.choice(truth.hoi_id, 1500)
    humans, objects = (
        boxes[near] + rng.normal(0, 12, (1500, 4)).astype(np.float32) * (rng.random((1500, 1)) < 0.8)
        for boxes in (truth.human_boxes, truth.object_boxes)
    )
    for boxes in (humans, objects):
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    found = Detections(
        truth.image_index[near],
        np.where(rng.random(1500) < 0.7, truth.hoi_id[near], shown).astype(np.int16),
        humans.astype(np.float32),
        objects.astype(np.float32),
        (rng.integers(0, 20, 1500) / 20).astype(np.float32),
    )
    for setting in SETTINGS:
        assert_equals_the_reference(found, truth, setting, annotations.vocabulary.hoi_object_ids)


# Properties


@pytest.mark.parametrize("setting", [setting for setting in SETTINGS if setting != "gen_vlkt"])
def test_oracle_scores_1_and_nothing_scores_0(setting):
    truth = ground_truth([(i, h, HUMAN, OBJECT) for i, h in ((0, 0), (0, 1), (1, 2), (2, 0))], 4)
    result = evaluate(worlds.oracle(truth), truth, 3, setting, hoi_object_ids=OBJECTS)
    assert (result.mean_ap, result.mean_max_recall) == (1, 1)
    result = evaluate(detections([]), truth, 3, setting, hoi_object_ids=OBJECTS)
    assert (result.mean_ap, result.mean_max_recall) == (0, 0)


@pytest.mark.parametrize("setting", SETTINGS)
def test_small_blocks_change_nothing(setting, monkeypatch):
    truth, found = worlds.random_world(7)
    whole = evaluate_world(found, truth, setting)
    monkeypatch.setattr(matching, "_BLOCK_PAIRS", 5)
    blocks = evaluate_world(found, truth, setting)
    np.testing.assert_array_equal(whole.ap, blocks.ap)
    np.testing.assert_array_equal(whole.matched_index, blocks.matched_index)


def test_curve_of_a_class():
    truth, found = worlds.random_world(1)
    result = evaluate_world(found, truth)
    for hoi_id in range(worlds.NUM_HOIS):
        recall, precision = result.curve(hoi_id)
        assert len(recall) == len(precision) == (result.hits & (found.hoi_id == hoi_id)).sum()
        assert (np.diff(recall) > 0).all()
        if len(recall):
            assert recall[-1] == pytest.approx(result.max_recall[hoi_id])


def test_hits_are_a_subset_of_matches():
    truth, found = worlds.random_world(2)
    result = evaluate_world(found, truth)
    assert (result.matched_index[result.hits] >= 0).all()
    assert len(np.unique(result.matched_index[result.hits])) == result.hits.sum()
    lean = evaluate_hicodet(found, truth, Rules(worlds.HOI_OBJECT_IDS))
    assert lean.hits is None
    assert lean.matched_index is None


# Mistakes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0, 1, HUMAN, OBJECT, 0.5), r"detections: hoi_id 1 in row 1 is out of range; expected 0\.\.0"),
        ((0, -1, HUMAN, OBJECT, 0.5), "hoi_id -1 in row 1"),
        ((2, 0, HUMAN, OBJECT, 0.5), r"image_index 2 in row 1 is out of range; expected 0\.\.1 \(2 images\)"),
        ((0, 0, HUMAN, OBJECT, float("nan")), "score of row 1 is nan"),
    ],
)
def test_bad_rows_are_refused(row, message):
    with pytest.raises(DataError, match=message):
        evaluate(detections([(0, 0, HUMAN, OBJECT, 0.5), row]), ground_truth([(0, 0, HUMAN, OBJECT)], 2))


def test_bad_choices_are_refused():
    truth = ground_truth([(0, 0, HUMAN, OBJECT)], 1)
    with pytest.raises(ParamError, match='did you mean "known_object"'):
        evaluate(detections([]), truth, setting="known_objects")
    with pytest.raises(ParamError, match="interpolation"):
        evaluate(detections([]), truth, interpolation="eleven")
    with pytest.raises(DataError, match="image_hois"):
        evaluate(detections([]), ground_truth([], 2, LabelRows.none(2, 3)))
