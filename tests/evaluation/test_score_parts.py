import dataclasses

import numpy as np
import pytest

from pipeline.evaluation.fusion import fuse_parts, of_trained_parts
from tests.evaluation.test_fusion import dump_of


@pytest.fixture
def dump(vocabulary):
    return dump_of(vocabulary, [[0, 1, 2], [0, 0, 2, 3], []], [[(0, 1), (0, 2)], [(0, 2), (1, 2), (0, 3), (1, 0)], []])


@pytest.mark.parametrize("pair_score", ["softmax", "sigmoid"])
@pytest.mark.parametrize("score_fusion", [True, False])
@pytest.mark.parametrize("relatedness", [True, False])
def test_parts_multiply_to_the_fused_score(dump, toyworld_params, pair_score, score_fusion, relatedness):
    switches = {"pair_score": pair_score, "score_fusion": score_fusion, "relatedness": relatedness}
    params = dataclasses.replace(toyworld_params.evaluate, **switches)
    detections, parts = fuse_parts(dump, params)
    product = parts.pairwise * (parts.human * parts.partner) ** params.gamma
    for switched_on, factor in ((score_fusion, parts.global_), (relatedness, parts.relatedness)):
        assert (factor is not None) == switched_on
        product = product if factor is None else product * factor
    assert len(detections) > 5
    np.testing.assert_allclose(product, detections.scores, rtol=1e-6)
    assert len(set(parts.human.tolist())) > 1
    assert (parts.human != parts.partner).any()


def test_no_pairs(vocabulary, toyworld_params):
    _, parts = fuse_parts(dump_of(vocabulary, [[0], []], [[], []]), toyworld_params.evaluate)
    assert len(parts.pairwise) == len(parts.human) == 0


def test_factors_of_untrained_branches_are_switched_off(toyworld_params):
    params, model = toyworld_params.evaluate, toyworld_params.model
    assert of_trained_parts(params, model) == params
    without = of_trained_parts(params, dataclasses.replace(model, hoi_recognition=False, relatedness=False))
    assert (without.score_fusion, without.relatedness, without.gamma) == (False, False, params.gamma)
    off = dataclasses.replace(params, score_fusion=False)
    assert not of_trained_parts(off, model).score_fusion
