"""Which proposals are paired in training. Category 0 is human; proposals are in order of falling score."""

import numpy as np
import pytest

from pipeline.data.role_cap import RoleCap
from pipeline.store.pair_labels_file import SplitPairLabels
from tests.small_split import small_bags


@pytest.mark.parametrize(
    ("object_ids", "rows"),
    [
        ([0, 0, 1, 0, 0, 0, 2], [0, 1, 2, 6]),  # a crowd keeps its two objects
        ([1, 1, 1, 2, 1, 0, 2], [0, 1, 2, 5]),  # many things keep their one human
        ([0, 0, 0, 1, 1, 1], [0, 1, 3, 4]),
        ([0] * 6, [0, 1, 2, 3]),
        ([1, 0, 1], [0, 1, 2]),
        ([], []),
    ],
)
def test_half_of_four_is_for_each_role_and_the_rest_for_whoever_has_more(object_ids, rows):
    assert RoleCap(4, human=0).rows(np.array(object_ids, np.int64)).tolist() == rows


def test_what_is_left_out_is_said(tmp_path, vocabulary):
    bags = small_bags(tmp_path, vocabulary, [7, 3, 6])
    bags.proposals.object_ids[:] = [0, 0, 1, 0, 0, 0, 2, 0, 1, 1, 1, 1, 1, 2, 1, 0]
    assert RoleCap(4, human=0).left_out(bags.proposals, np.arange(3)) == (
        "train.max_proposals is 4: 2 of 3 images have more proposals; their best humans and their best others are "
        "paired, and 3 of 7 humans and 2 of 9 others are left out"
    )
    assert RoleCap(4, human=0).left_out(bags.proposals, np.array([1])) is None
    assert RoleCap(7, human=0).left_out(bags.proposals, np.arange(3)) is None


def test_bags_hold_the_best_of_each_role_and_the_labels_of_their_pairs(tmp_path, vocabulary):
    bags = small_bags(tmp_path, vocabulary, [6])
    bags.proposals.object_ids[:] = [0, 0, 0, 1, 0, 2]
    labels = np.array([[0, 3, 1], [2, 3, 1], [1, 5, 2]])  # the third human is left out
    bags.pair_labels = SplitPairLabels(bags.manifest.image_ids, np.array([0, 3]), labels)
    bags.has_boxes[:] = True
    bags.max_proposals = RoleCap(4, human=0)
    np.testing.assert_array_equal(bags[0].proposals.boxes, bags.proposals.boxes[[0, 1, 3, 5]])
    assert bags[0].pair_labels.tolist() == [[0, 2, 1], [1, 3, 2]]
