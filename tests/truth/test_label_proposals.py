import dataclasses

import numpy as np
import pytest

from pipeline.store.proposals_file import SplitProposals
from pipeline.truth.label_proposals import label_proposals
from tests.evaluation.worlds import ground_truth

# HOI classes of the fixture: 0 ride bicycle, 1 hold bicycle, 2 hold cup, 3 drink_with cup; 0 person, 1 bicycle, 2 cup.
PERSON, BICYCLE, CUP = 0, 1, 2
MAN, WHEELS = (0, 0, 10, 20), (0, 10, 20, 30)


def moved(by: float) -> tuple:
    """IoU of a 10 wide box and itself moved by s is (10 - s) / (10 + s): 0.5 at s = 10 / 3."""
    return (by, 0, 10 + by, 20)


def label(vocabulary, images, annotated):
    """Labels of each image, whose proposals are (box, category)."""
    found = [proposal for image in images for proposal in image]
    proposals = SplitProposals(
        image_ids=tuple("abc"[: len(images)]),
        objects=vocabulary.objects,
        detector="drawn",
        offsets=np.cumsum([0, *map(len, images)]),
        boxes=np.array([box for box, _ in found], np.float32).reshape(-1, 4),
        scores=np.full(len(found), 0.5, np.float32),
        object_ids=np.array([category for _, category in found], np.int64),
    )
    labeled = label_proposals(proposals, ground_truth(annotated, len(images)), vocabulary, lambda: None)
    rows = [labeled.labels.image(index, np.arange(100)).tolist() for index in range(len(images))]
    return rows, labeled.shown


@pytest.mark.parametrize(
    ("proposed", "labels"),
    [
        ([(MAN, PERSON), (WHEELS, BICYCLE)], [[0, 1, 0]]),
        ([(WHEELS, BICYCLE), (MAN, PERSON)], [[1, 0, 0]]),
        ([(moved(3.0), PERSON), (WHEELS, BICYCLE)], [[0, 1, 0]]),
        ([(moved(3.4), PERSON), (WHEELS, BICYCLE)], []),  # the smaller of both overlaps counts
        ([(MAN, PERSON), (WHEELS, CUP)], []),  # a wrong category
        ([(MAN, CUP), (WHEELS, BICYCLE)], []),  # no human
        ([(MAN, PERSON), (WHEELS, BICYCLE), (moved(1), PERSON)], [[0, 1, 0], [2, 1, 0]]),  # both show it
        ([], []),
    ],
)
def test_a_pair_takes_the_class_of_the_annotation_that_it_shows(vocabulary, proposed, labels):
    assert label(vocabulary, [proposed], [(0, 0, MAN, WHEELS)]) == ([labels], bool(labels))


def test_each_class_of_a_pair_and_each_image_of_its_own(vocabulary):
    shown = [(MAN, PERSON), (WHEELS, BICYCLE)]
    annotated = [(2, 0, MAN, WHEELS), (0, 1, MAN, WHEELS), (0, 0, MAN, WHEELS), (0, 0, moved(1), WHEELS)]
    assert label(vocabulary, [shown, shown, shown], annotated) == ([[[0, 1, 0], [0, 1, 1]], [], [[0, 1, 0]]], 4)


def test_nobody_is_their_own_partner(vocabulary):

    hugging = dataclasses.replace(vocabulary, hoi_classes=((0, PERSON),))
    assert label(hugging, [[(MAN, PERSON), (moved(1), PERSON)]], [(0, 0, MAN, MAN)]) == ([[[0, 1, 0], [1, 0, 0]]], 1)
