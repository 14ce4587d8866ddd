import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve

from pipeline.evaluation.average_precision import RECALL_LEVELS, average_precision, precision_recall


def score_one_class(flags, num_gt: int, interpolation: str) -> float:
    """AP of one class whose sorted detections are right (1) or wrong (0)."""
    rank = np.flatnonzero(flags) + 1
    hit_class, counts = np.zeros(len(rank), np.int64), np.array([num_gt])
    precision, recall = precision_recall(hit_class, rank, counts)
    return average_precision(hit_class, precision, recall, counts, interpolation)[0]


def test_eleven_point_by_hand():
    # hits at ranks 1 and 4 of 2: precision 1 up to recall 0.5 (levels 0 .. 0.5), then 0.5 (levels 0.6 .. 1)
    assert score_one_class([1, 0, 0, 1, 0], 2, "official_11_point") == pytest.approx((6 * 1 + 5 * 0.5) / 11)


def test_all_points_by_hand():
    # precision at the hits 1, 2/4, 3/5; the envelope lifts 2/4 to the 3/5 that follows; each hit is 1/3 of recall
    assert score_one_class([1, 0, 0, 1, 1], 3, "all_points") == pytest.approx((1 + 3 / 5 + 3 / 5) / 3)


@pytest.mark.parametrize(
    ("num_hits", "num_gt", "levels"),
    [
        *((hits, total, 1) for hits, total in ((3, 10), (6, 10), (7, 10), (3, 5))),
        *((hits, total, 0) for hits, total in ((1, 10), (2, 5), (5, 10), (8, 10), (10, 10))),
    ],
)
def test_the_official_grid_is_slightly_above_some_of_the_tenths(num_hits, num_gt, levels):
    official, tenths = (score_one_class([1] * num_hits, num_gt, f"{grid}_11_point") for grid in ("official", "tenths"))
    assert tenths - official == pytest.approx(levels / 11)


def test_the_grid_of_both_ends_is_that_of_torch():
    expected = torch.linspace(0, 1, 11, dtype=torch.float64).numpy()
    np.testing.assert_array_equal(RECALL_LEVELS["both_ends_11_point"], expected)
    assert score_one_class([1] * 6, 10, "both_ends_11_point") == pytest.approx(7 / 11)
    assert score_one_class([1] * 3, 10, "both_ends_11_point") == pytest.approx(3 / 11)  # 0.3 stays out of reach


def test_classes_without_hits_or_ground_truth():
    num_gt = np.array([2, 0, 1, 1])
    hit_class, rank = np.array([2]), np.array([1])
    precision, recall = precision_recall(hit_class, rank, num_gt)
    for interpolation in ("official_11_point", "all_points"):
        ap = average_precision(hit_class, precision, recall, num_gt, interpolation)
        np.testing.assert_array_equal(ap, [0, np.nan, 1, 0])
    nothing = np.zeros(0, np.int64)
    precision, recall = precision_recall(nothing, nothing, np.array([3, 0]))
    np.testing.assert_array_equal(average_precision(nothing, precision, recall, np.array([3, 0])), [0, np.nan])


@pytest.mark.parametrize("seed", range(20))
def test_against_scikit_learn(seed):
    """scikit-learn's curve gives the envelope's area, and its own AP wherever precision never rises."""
    rng = np.random.default_rng(seed)
    flags = rng.random(60) < 0.4
    flags[rng.integers(60)] = True
    scores = np.arange(60, 0, -1)
    precision, recall, _ = precision_recall_curve(flags, scores)
    envelope = np.maximum.accumulate(precision)  # recall falls along scikit-learn's arrays
    area = -np.sum(np.diff(recall) * envelope[:-1])
    assert score_one_class(flags, flags.sum(), "all_points") == pytest.approx(area, abs=1e-12)
    falling = np.sort(flags)[::-1]
    assert score_one_class(falling, flags.sum(), "all_points") == pytest.approx(
        average_precision_score(falling, scores), abs=1e-12
    )


@pytest.mark.parametrize("interpolation", ["official_11_point", "tenths_11_point", "all_points"])
def test_classes_do_not_touch_each_other(interpolation):
    rng = np.random.default_rng(0)
    lists = [rng.random(rng.integers(1, 30)) < 0.5 for _ in range(12)]
    num_gt = np.array([int(flags.sum()) + 2 for flags in lists])
    hit_class = np.concatenate([np.full(flags.sum(), c) for c, flags in enumerate(lists)])
    rank = np.concatenate([np.flatnonzero(flags) + 1 for flags in lists])
    precision, recall = precision_recall(hit_class, rank, num_gt)
    together = average_precision(hit_class, precision, recall, num_gt, interpolation)
    alone = [score_one_class(flags, total, interpolation) for flags, total in zip(lists, num_gt, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-15)
