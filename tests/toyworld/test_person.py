import math

import pytest

from pipeline.toyworld.person import FOREARM, UPPER_ARM, two_link
from pipeline.toyworld.shapes import Similarity, disc, extent, line, transform


@pytest.mark.parametrize("target", [(0.2, 0.1), (-0.1, 0.25), (0.0, -0.3)])
def test_links_keep_their_length_and_reach_the_target(target):
    joint, end = two_link((0.0, 0.0), target, UPPER_ARM, FOREARM, -1.0)
    assert math.dist((0, 0), joint) == pytest.approx(UPPER_ARM, abs=1e-6)
    assert math.dist(joint, end) == pytest.approx(FOREARM, abs=1e-6)
    assert end == pytest.approx(target, abs=1e-6)


def test_a_target_out_of_reach_is_pointed_at():
    _, end = two_link((0.0, 0.0), (3.0, 4.0), 1.0, 1.0, 1.0)
    assert math.hypot(*end) == pytest.approx(1.998)
    assert math.atan2(end[1], end[0]) == pytest.approx(math.atan2(4, 3))


def test_knee_bends_forward_and_elbow_down():
    knee, _ = two_link((0.0, 0.0), (0.0, -0.4), 0.25, 0.24, 1.0)
    elbow, _ = two_link((0.0, 0.0), (0.3, 0.0), UPPER_ARM, FOREARM, -1.0)
    assert knee[0] > 0
    assert elbow[1] < 0


def test_similarity_by_hand():
    turned = Similarity(1.0, 2.0, 2.0, math.pi / 2, 1.0).apply([(1.0, 0.0)])
    mirrored = Similarity(0.0, 10.0, 3.0, 0.0, -1.0, -1.0).apply([(1.0, 2.0)])
    assert turned[0] == pytest.approx((1.0, 4.0))
    assert mirrored[0] == pytest.approx((-3.0, 4.0))


def test_extent_counts_strokes():
    sketch = [disc((0.0, 0.0), 1.0, (0, 0, 0)), line(((2.0, 0.0), (2.0, 3.0)), 0.5, (0, 0, 0))]
    assert extent(sketch) == (-1.0, -1.0, 2.25, 3.25)
    assert extent(transform(sketch, Similarity(scale=2.0))) == (-2.0, -2.0, 4.5, 6.5)
