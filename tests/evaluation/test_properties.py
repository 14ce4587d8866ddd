"""What holds for every evaluation: of HICO-DET's protocol, against its authors' form, whatever the detections."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.core.types import Detections
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.hicodet import Rules
from tests.evaluation import reference_hicodet
from tests.evaluation.worlds import oracle
from tests.properties import modest, scored_worlds

NUM_HOIS = 4


def evaluate(found, truth):
    return evaluate_hicodet(found, truth, Rules(np.arange(NUM_HOIS)), keep_matches=True)


def with_scores(found: Detections, scores) -> Detections:
    return Detections(
        found.image_index, found.hoi_id, found.human_boxes, found.object_boxes, np.asarray(scores, np.float32)
    )


def joined(first: Detections, second: Detections) -> Detections:
    names = ("image_index", "hoi_id", "human_boxes", "object_boxes", "scores")
    return Detections(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))


@modest
@given(scored_worlds())
def test_every_class_is_scored_as_the_authors_code_scores_it(world):
    truth, found = world
    result = evaluate(found, truth)
    for hoi_id in range(NUM_HOIS):
        ap, recall = reference_hicodet.evaluate_class(found, truth, hoi_id, set(range(truth.num_images)))
        np.testing.assert_allclose(result.ap[hoi_id], ap, atol=1e-12)
        np.testing.assert_allclose(result.max_recall[hoi_id], recall, atol=1e-12)
    ap = result.ap[result.num_gt > 0]
    assert ((ap >= 0) & (ap <= 1)).all()
    assert result.mean_ap == np.nan_to_num(result.ap).mean()


@modest
@given(scored_worlds(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_where_scores_differ(world, random):
    truth, found = world
    order = random.sample(range(len(found)), len(found))
    result, shuffled = evaluate(found, truth), evaluate(found.take(order), truth)
    np.testing.assert_array_equal(shuffled.ap, result.ap)
    np.testing.assert_array_equal(shuffled.hits, result.hits[order])


@modest
@given(scored_worlds(), st.integers(-6, 6))
def test_only_the_order_of_scores_matters(world, power):
    truth, found = world
    expected = evaluate(found, truth).ap
    for scores in (found.scores * 2.0**power, found.scores - 3, found.scores**3):
        np.testing.assert_array_equal(evaluate(with_scores(found, scores), truth).ap, expected)


@modest
@given(scored_worlds(), st.integers(1, 5))
def test_misses_below_all_else_change_nothing_and_above_never_help(world, count):
    truth, found = world
    far = np.tile(np.float32([500, 500, 501, 501]), (count, 1))
    classes = np.arange(count).astype(np.int16) % NUM_HOIS
    images = np.zeros(count, np.int32)
    before = evaluate(found, truth)
    below = Detections(images, classes, far, far, np.full(count, -1, np.float32))
    after = evaluate(joined(found, below), truth)
    np.testing.assert_array_equal(after.ap, before.ap)
    np.testing.assert_array_equal(after.max_recall, before.max_recall)
    above = evaluate(joined(found, with_scores(below, np.full(count, 2))), truth)
    counted = before.num_gt > 0
    assert (above.ap[counted] <= before.ap[counted]).all()
    np.testing.assert_array_equal(above.max_recall, before.max_recall)


@modest
@given(scored_worlds())
def test_the_annotations_themselves_score_one(world):
    truth, found = world
    columns = [truth.image_index[:, None], truth.hoi_id[:, None], truth.human_boxes, truth.object_boxes]
    assume(len(np.unique(np.concatenate(columns, 1), axis=0)) == len(truth))  # of equal pairs only the first is claimed
    counted = evaluate(found, truth).num_gt > 0
    assert counted.any()
    np.testing.assert_array_equal(evaluate(oracle(truth), truth).ap[counted], 1)
    np.testing.assert_array_equal(evaluate(joined(oracle(truth), found), truth).ap[counted], 1)
