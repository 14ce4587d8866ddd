import math

import pytest
import torch
from torch import nn

from pipeline.hoi.interaction import (
    IMPOSSIBLE,
    ParallelSelection,
    VerbsOfPairs,
    logit_of_log,
    zero_shot_logits,
)
from pipeline.hoi.pairing import PairIndex
from pipeline.hoi.segments import segment_log_softmax, segment_sum

PAIRS = PairIndex(
    human=torch.tensor([0, 0, 4]),
    object=torch.tensor([1, 2, 5]),
    image=torch.tensor([0, 0, 2]),
    offsets=torch.tensor([0, 2, 2, 3]),
    bags=torch.tensor([0, 2]),
)


def test_a_verb_of_a_pair_is_the_hoi_class_of_its_object(vocabulary):
    """HOI classes: ride bicycle, hold bicycle, hold cup, drink_with cup."""
    logits = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]])
    verbs = VerbsOfPairs(vocabulary)(logits, torch.tensor([1, 2, 3]))  # bicycle, cup, lamp
    assert verbs.tolist() == [[1, 2, IMPOSSIBLE], [IMPOSSIBLE, 7, 8], [IMPOSSIBLE] * 3]


def test_parallel_branches_by_hand():
    """Selection softmax over an image's pairs times sigmoid of the classification, summed to at most 1 an image."""
    selection, classification = nn.Linear(2, 3), nn.Linear(2, 3)
    representation = torch.tensor([[1.0, 0.5], [-1.0, 2.0], [0.3, 0.3]])
    logits = ParallelSelection(selection=selection, classification=classification)(representation, PAIRS)
    chosen, classes = selection(representation), torch.sigmoid(classification(representation))
    expected = torch.stack(
        [
            chosen[:2].softmax(0)[0] * classes[0],
            chosen[:2].softmax(0)[1] * classes[1],
            classes[2],  # alone in its image: the selection has nothing to choose
        ]
    )
    torch.testing.assert_close(torch.sigmoid(logits), expected, atol=1e-6, rtol=1e-5)
    assert (segment_sum(torch.sigmoid(logits), PAIRS.image, 3) <= 1).all()


def test_zero_shot_is_the_softmax_over_all_sentences():
    similarities = torch.tensor([[2.0, 0.0, -1.0]])
    torch.testing.assert_close(torch.sigmoid(zero_shot_logits(similarities)), similarities.softmax(1))


@pytest.mark.parametrize("probability", [1e-30, 0.2, 0.5, 1.0])
def test_logits_of_logarithms_stay_finite(probability):
    logit = logit_of_log(torch.tensor(math.log(probability) if probability > 1e-20 else -1e9)).item()
    assert math.isfinite(logit)
    if 0.1 < probability < 1:
        assert logit == pytest.approx(math.log(probability / (1 - probability)), abs=1e-5)


def test_segment_softmax_equals_a_loop_and_survives_large_logits():
    values = torch.tensor([[1000.0, -3.0], [998.0, 2.0], [5.0, 5.0]])
    whole = segment_log_softmax(values, PAIRS.image, 3)
    torch.testing.assert_close(whole[:2], values[:2].log_softmax(0))
    assert whole[2].tolist() == [0.0, 0.0]
    assert segment_sum(values, PAIRS.image, 3).tolist() == [[1998.0, -1.0], [0.0, 0.0], [5.0, 5.0]]
