"""Bags by object category and refinement targets, by hand: three images, the second one without pairs."""

import math

import pytest
import torch

from pipeline.methods.bilevel.category_bags import (
    bag_loss,
    category_bags,
    refinement_loss,
    refinement_targets,
    related_pairs,
)
from pipeline.methods.pair_trunk import VerbsOfPairs
from pipeline.methods.pairing import PairIndex

BICYCLE, CUP, LAMP = 1, 2, 3
OBJECTS = torch.tensor([BICYCLE, CUP, BICYCLE, LAMP, CUP])  # of the pairs; four of the first image, one of the third
PAIRS = PairIndex(
    human=torch.tensor([0, 0, 3, 3, 5]),
    object=torch.tensor([1, 2, 1, 4, 6]),
    image=torch.tensor([0, 0, 0, 0, 2]),
    offsets=torch.tensor([0, 4, 4, 5]),
    bags=torch.tensor([0, 2]),
)
# ride bicycle, hold bicycle, hold cup, drink with cup
LABELS = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
LOGITS = torch.tensor([[2.0, 1, 9], [9, 3, -1], [0, 4, 9], [9, 9, 9], [9, -2, 5]])  # of ride, hold, drink with


@pytest.fixture
def bags(vocabulary):
    return category_bags(LABELS, PAIRS, OBJECTS, VerbsOfPairs(vocabulary).hoi_of)


def softplus(x):
    return math.log1p(math.exp(x))


def test_bags_are_of_an_image_and_a_category(bags):
    assert bags.of_pair.tolist() == [1, 2, 1, 3, 10]
    assert bags.labels.nonzero().tolist() == [[1, 0], [2, 1], [5, 1], [10, 2]]
    assert bags.classes.nonzero().tolist() == [
        [b + c, v] for b in (0, 4, 8) for c, v in ((1, 0), (1, 1), (2, 1), (2, 2))
    ]


def test_a_label_is_about_the_best_pair_of_its_category(bags):
    """Bicycle: ride 2 labeled, hold 4 not. Cup: hold 3 labeled, drink with -1 not; hold -2 not, drink with 5 labeled.

    The lamp, "ride cup" and the second image, which has a label and no pair, teach nothing.
    """
    expected = softplus(-2) + softplus(4) + softplus(-3) + softplus(-1) + softplus(-2) + softplus(-5)
    logits = LOGITS.clone().requires_grad_()
    loss = bag_loss(logits, bags)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert logits.grad.nonzero().tolist() == [[0, 0], [1, 1], [1, 2], [2, 1], [4, 1], [4, 2]]


def test_related_pairs_are_the_best_of_each_labeled_class(bags):
    assert related_pairs(LOGITS, bags, 1).tolist() == [
        1,
        1,
        0,
        0,
        1,
    ]  # ride bicycle: the first, hold cup, drink with cup
    assert related_pairs(LOGITS, bags, 2).tolist() == [1, 1, 1, 0, 1]


HUMANS = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 8], [50, 0, 60, 10], [0, 0, 0, 0]])
THINGS = torch.tensor([[10.0, 0, 20, 10], [40, 0, 50, 9], [10, 0, 20, 6], [10, 0, 20, 10], [0, 0, 0, 0]])


@pytest.mark.parametrize(("min_iou", "neighbor"), [(0.5, True), (0.6, True), (0.61, False)])
def test_the_best_pair_of_a_labeled_class_teaches_those_that_overlap_it(bags, min_iou, neighbor):
    """The third pair overlaps the first by 0.8 and 0.6: it rides as well. A best pair without extent is one as well."""
    targets = refinement_targets(LOGITS, bags, HUMANS, THINGS, min_iou)
    assert targets.nonzero().tolist() == [[0, 0], [1, 1], *([[2, 0]] if neighbor else []), [4, 2]]


def test_of_equal_pairs_the_first_is_the_best(bags):
    targets = refinement_targets(torch.zeros(5, 3), bags, HUMANS + torch.arange(5)[:, None] * 100, THINGS, 0.5)
    assert targets.nonzero().tolist() == [[0, 0], [1, 1], [4, 2]]


def test_every_pair_of_a_category_is_taught(bags):
    targets = refinement_targets(LOGITS, bags, HUMANS, THINGS, 0.5)
    bicycles = (softplus(-2) + softplus(1) + softplus(0) + softplus(4)) / 2  # two pairs
    cups = softplus(-3) + softplus(-1) + softplus(-2) + softplus(-5)
    assert refinement_loss(LOGITS, targets, bags).item() == pytest.approx(bicycles + cups, rel=1e-5)


def test_logits_that_are_no_numbers_are_not_hidden(bags):
    broken = LOGITS.clone()
    broken[0, 0] = torch.nan
    assert bag_loss(broken, bags).isnan()
    assert refinement_targets(broken, bags, HUMANS, THINGS, 0.5).shape == (5, 3)


def test_no_pairs(vocabulary):
    none = torch.zeros(0, dtype=torch.int64)
    pairs = PairIndex(none, none, none, torch.zeros(4, dtype=torch.int64), none)
    bags, logits, boxes = category_bags(LABELS, pairs, none, VerbsOfPairs(vocabulary).hoi_of), LOGITS[:0], HUMANS[:0]
    assert bag_loss(logits, bags) == 0
    assert related_pairs(logits, bags, 1).shape == (0,)
    assert refinement_targets(logits, bags, boxes, boxes, 0.5).shape == (0, 3)
