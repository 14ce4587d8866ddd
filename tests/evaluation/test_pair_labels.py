import numpy as np
import pytest

from pipeline.evaluation.pair_labels import label_pairs
from tests.evaluation.worlds import ground_truth

# HOI classes of the fixture: 0 ride bicycle, 1 hold bicycle, 2 hold cup, 3 drink_with cup; objects 1 bicycle, 2 cup.
BICYCLE, CUP = 1, 2
MAN, WOMAN, WHEELS, MUG = (0, 0, 10, 20), (40, 0, 50, 20), (0, 10, 20, 30), (60, 0, 64, 4)


def label(vocabulary, pairs, truth):
    """Pairs as (image, human box, object box, object id)."""
    image, human, partner, objects = zip(*pairs, strict=True)
    boxes = [np.array(side, np.float32) for side in (human, partner)]
    return label_pairs(np.array(image), *boxes, np.array(objects), truth, vocabulary).tolist()


def test_a_pair_takes_the_class_of_the_annotation_that_it_shows(vocabulary):
    truth = ground_truth([(0, 0, MAN, WHEELS), (1, 3, WOMAN, MUG)], 2)
    pairs = [
        (0, MAN, WHEELS, BICYCLE),  # shown
        (0, WOMAN, WHEELS, BICYCLE),  # another human
        (1, WOMAN, MUG, CUP),  # shown
        (1, MAN, WHEELS, BICYCLE),  # annotated in the other image only
    ]
    assert label(vocabulary, pairs, truth) == [0, -1, 3, -1]


@pytest.mark.parametrize(("shift", "expected"), [(3.0, 0), (3.4, -1)])
def test_both_boxes_must_overlap_by_half(vocabulary, shift, expected):
    """IoU of a 10 wide box and itself moved by s is (10 - s) / (10 + s): 0.5 at s = 10 / 3."""
    truth = ground_truth([(0, 0, MAN, WHEELS)], 1)
    moved = (shift, 0, 10 + shift, 20)
    assert label(vocabulary, [(0, moved, WHEELS, BICYCLE)], truth) == [expected]
    wide = ground_truth([(0, 0, MAN, MAN)], 1)
    assert label(vocabulary, [(0, MAN, moved, BICYCLE)], wide) == [expected]


def test_a_wrong_object_category_shows_nothing(vocabulary):
    truth = ground_truth([(0, 0, MAN, WHEELS)], 1)
    assert label(vocabulary, [(0, MAN, WHEELS, CUP)], truth) == [-1]


def test_an_annotation_counts_once_for_the_first_row_that_shows_it(vocabulary):
    truth = ground_truth([(0, 0, MAN, WHEELS)], 1)
    looser = (1, 0, 10, 20)
    pairs = [(0, looser, WHEELS, BICYCLE), (0, MAN, WHEELS, BICYCLE)]
    assert label(vocabulary, pairs, truth) == [0, -1]


def test_of_several_classes_the_rarest_is_taken(vocabulary):
    """Class 1 is annotated three times, class 0 once."""
    rows = [(0, 0, MAN, WHEELS), (0, 1, MAN, WHEELS), (0, 1, WOMAN, WHEELS), (1, 1, MAN, WHEELS)]
    pairs = [(0, MAN, WHEELS, BICYCLE), (0, WOMAN, WHEELS, BICYCLE), (1, MAN, WHEELS, BICYCLE)]
    assert label(vocabulary, pairs, ground_truth(rows, 2)) == [0, 1, 1]
    assert label(vocabulary, pairs, ground_truth(rows[::-1], 2)) == [0, 1, 1]


def test_nothing_proposed_and_nothing_annotated(vocabulary):
    none, boxes = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    assert len(label_pairs(none, boxes, boxes, none, ground_truth([(0, 0, MAN, WHEELS)], 1), vocabulary)) == 0
    assert label(vocabulary, [(0, MAN, WHEELS, BICYCLE)], ground_truth([], 1)) == [-1]
