import math

import numpy as np
import pytest

from pipeline.report.separation import group_precision, neighbor_purity, silhouette


def line(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


def test_purity_by_hand():
    """Class 0 at 0, 1 and 10, class 1 at 2 and 3, each point in an image of its own."""
    points, classes, images = line(0, 1, 10, 2, 3), np.array([0, 0, 0, 1, 1]), np.arange(5)
    # Nearest: 0 -> 1 (own), 1 -> 0 (own; the first of equals), 10 -> 3 (other), 2 -> 1 (other; first), 3 -> 2 (own).
    assert neighbor_purity(points, classes, images, 1) == pytest.approx((2 / 3 + 1 / 2) / 2)
    # Two neighbors for class 0, one for class 1, which has one other: 0 -> 1, 2: 1/2; 1 -> 0, 2: 1/2; 10 -> 3, 2: 0.
    assert neighbor_purity(points, classes, images, 2) == pytest.approx((1 / 3 + 1 / 2) / 2)
    # All others: two of four, one of four.
    assert neighbor_purity(points, classes, images, None) == pytest.approx((2 / 4 + 1 / 4) / 2)


def test_neighbors_of_the_same_image_do_not_count():
    points, classes = line(0, 0.1, 5, 5.1), np.array([0, 0, 1, 1])
    assert neighbor_purity(points, classes, np.arange(4), 1) == 1
    # Each class lies in one image: no point has a neighbor of its class elsewhere.
    assert math.isnan(neighbor_purity(points, classes, np.array([0, 0, 1, 1]), 1))
    # Elsewhere, 5 is nearer to each point of class 0 than 9 or 0 is.
    assert neighbor_purity(line(0, 0.1, 5, 9), np.array([0, 0, 1, 0]), np.array([0, 0, 1, 2]), 1) == 0


def test_pools_restrict_the_neighbors():
    """Two objects far apart; within each, the nearest is of the other class."""
    points, classes, pools = line(0, 1, 5, 100, 101, 105), np.array([0, 1, 0, 2, 3, 2]), np.repeat([0, 1], 3)
    assert neighbor_purity(points, classes, np.arange(6), None, pools) == pytest.approx(1 / 2)
    assert neighbor_purity(points, classes, np.arange(6), None) == pytest.approx(1 / 5)


def test_blocks_of_rows_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(60, 3)), rng.integers(0, 5, 60), rng.integers(0, 20, 60), 4)
    whole = neighbor_purity(*data)
    monkeypatch.setattr("pipeline.report.separation._ROWS_AT_ONCE", 7)
    assert neighbor_purity(*data) == whole
    assert 0 < whole < 1


def test_silhouette_by_hand():
    """Class 0 at 0 and 1, class 1 at 4 and 6, class 2 alone at 10: 0 for a point that is alone."""
    points, classes = line(0, 1, 4, 6, 10), np.array([0, 0, 1, 1, 2])
    # Mean distance to the own class, and to the nearest other one: 0: 1 and 5; 1: 1 and 4; 4: 2 and 3.5; 6: 2 and 4.
    assert silhouette(points, classes) == pytest.approx((4 / 5 + 3 / 4 + 1.5 / 3.5 + 2 / 4 + 0) / 5)


def test_silhouette_of_one_class_is_no_number():
    assert math.isnan(silhouette(line(0, 1, 2), np.zeros(3, int)))
    assert math.isnan(silhouette(line(0, 1), np.array([0, 1])))


def test_group_precision_by_hand():
    """Angles 0, 10, 50, 60 and 90 degrees, of any length; groups a, a, b, a, c."""
    angles = np.radians([0, 10, 50, 60, 90])
    rows = np.stack([np.cos(angles), np.sin(angles)], 1) * np.array([[1], [9], [2], [5], [3]])
    # R = 2 for a: 0 -> 10, 50: 1/2; 10 -> 0, 50: 1/2; 60 -> 50, 90: 0. b and c are alone.
    groups = np.array([0, 0, 1, 0, 2])
    assert group_precision(rows, groups) == pytest.approx(1 / 3)
    assert group_precision(rows, groups, at_random=True) == pytest.approx(2 / 4)
    assert all(math.isnan(group_precision(rows, np.arange(5), at_random=chance)) for chance in (False, True))


def test_group_precision_finds_groups_and_not_noise():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(8), 5)
    centers = rng.normal(size=(8, 16))
    tight = group_precision(centers[groups] + 0.05 * rng.normal(size=(40, 16)), groups)
    noise, chance = (group_precision(rng.normal(size=(40, 16)), groups, at_random=random) for random in (False, True))
    assert tight == 1 and chance == pytest.approx(4 / 39) and abs(noise - chance) < 0.1
