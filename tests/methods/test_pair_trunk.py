import math

import pytest
import torch

from pipeline.methods.pair_trunk import IMPOSSIBLE, VerbsOfPairs, logit_of_log


def test_a_verb_of_a_pair_is_the_hoi_class_of_its_object(vocabulary):
    """HOI classes: ride bicycle, hold bicycle, hold cup, drink_with cup."""
    logits = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]])
    verbs = VerbsOfPairs(vocabulary)(logits, torch.tensor([1, 2, 3]))  # bicycle, cup, lamp
    assert verbs.tolist() == [[1, 2, IMPOSSIBLE], [IMPOSSIBLE, 7, 8], [IMPOSSIBLE] * 3]


@pytest.mark.parametrize("probability", [1e-30, 0.2, 0.5, 1.0])
def test_logits_of_logarithms_stay_finite(probability):
    logit = logit_of_log(torch.tensor(math.log(probability) if probability > 1e-20 else -1e9)).item()
    assert math.isfinite(logit)
    if 0.1 < probability < 1:
        assert logit == pytest.approx(math.log(probability / (1 - probability)), abs=1e-5)
