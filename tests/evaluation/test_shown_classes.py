import numpy as np
import pytest

from pipeline.evaluation.shown_classes import shown_classes
from tests.evaluation.worlds import ground_truth

# HOI classes of the fixture: 0 ride bicycle, 1 hold bicycle, 2 hold cup, 3 drink_with cup; objects 1 bicycle, 2 cup.
BICYCLE, CUP = 1, 2
MAN, WOMAN, WHEELS, MUG = (0, 0, 10, 20), (40, 0, 50, 20), (0, 10, 20, 30), (60, 0, 64, 4)


def label(vocabulary, pairs, truth):
    """Pairs as (image, human box, object box, object id)."""
    image, human, partner, objects = zip(*pairs, strict=True)
    boxes = [np.array(side, np.float32) for side in (human, partner)]
    return shown_classes(np.array(image), *boxes, np.array(objects), truth, vocabulary).tolist()


SHOWN = (0, 0, MAN, WHEELS)


def moved(by: float) -> tuple:
    """IoU of a 10 wide box and itself moved by s is (10 - s) / (10 + s): 0.5 at s = 10 / 3."""
    return (by, 0, 10 + by, 20)


@pytest.mark.parametrize(
    ("annotated", "pairs", "labels"),
    [
        # shown; another human; shown; annotated in the other image only
        (
            [SHOWN, (1, 3, WOMAN, MUG)],
            [(0, MAN, WHEELS, BICYCLE), (0, WOMAN, WHEELS, BICYCLE), (1, WOMAN, MUG, CUP), (1, MAN, WHEELS, BICYCLE)],
            [0, -1, 3, -1],
        ),
        *(([SHOWN], [(0, moved(by), WHEELS, BICYCLE)], [label]) for by, label in ((3.0, 0), (3.4, -1))),
        *(([(0, 0, MAN, MAN)], [(0, MAN, moved(by), BICYCLE)], [label]) for by, label in ((3.0, 0), (3.4, -1))),
        ([SHOWN], [(0, MAN, WHEELS, CUP)], [-1]),  # a wrong object category
        (
            [SHOWN],
            [(0, (1, 0, 10, 20), WHEELS, BICYCLE), (0, MAN, WHEELS, BICYCLE)],
            [0, -1],
        ),  # the first row
        ([], [(0, MAN, WHEELS, BICYCLE)], [-1]),
    ],
)
def test_a_pair_takes_the_class_of_the_annotation_that_it_shows(vocabulary, annotated, pairs, labels):
    assert label(vocabulary, pairs, ground_truth(annotated, 2)) == labels


def test_of_several_classes_the_rarest_is_taken(vocabulary):
    """Class 1 is annotated three times, class 0 once."""
    rows = [SHOWN, (0, 1, MAN, WHEELS), (0, 1, WOMAN, WHEELS), (1, 1, MAN, WHEELS)]
    pairs = [(0, MAN, WHEELS, BICYCLE), (0, WOMAN, WHEELS, BICYCLE), (1, MAN, WHEELS, BICYCLE)]
    for annotated in (rows, rows[::-1]):
        assert label(vocabulary, pairs, ground_truth(annotated, 2)) == [0, 1, 1]


def test_nothing_proposed(vocabulary):
    none, boxes = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    assert len(shown_classes(none, boxes, boxes, none, ground_truth([SHOWN], 1), vocabulary)) == 0
