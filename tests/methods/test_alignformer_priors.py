import math

import pytest
import torch

from pipeline.methods.alignformer_like.priors import (
    chosen_pairs,
    geometric_log_prior,
    new_statistics,
    pair_geometry,
    shares_of_candidates,
    updated_statistics,
)

HUMAN = torch.tensor([[0.0, 0, 10, 20]])  # 10 x 20 around (5, 10)
PARTNER = torch.tensor([[10.0, 10, 30, 20]])  # 20 x 10 around (20, 15)


def test_geometry_by_hand_and_mirrored():
    expected = torch.tensor([[1.5, 0.25, math.log(2), -math.log(2)]])
    torch.testing.assert_close(pair_geometry(HUMAN, PARTNER), expected)
    mirrored = [torch.cat([100 - boxes[:, [2]], boxes[:, [1]], 100 - boxes[:, [0]], boxes[:, [3]]], 1)
                for boxes in (HUMAN, PARTNER)]  # fmt: skip
    torch.testing.assert_close(pair_geometry(*mirrored), expected)


def test_geometry_of_degenerate_and_of_no_boxes_is_finite():
    point = torch.full((1, 4), 3.0)
    assert pair_geometry(point, point).tolist() == [[0, 0, 0, 0]]
    assert torch.isfinite(pair_geometry(point, PARTNER)).all()
    assert pair_geometry(HUMAN[:0], PARTNER[:0]).shape == (0, 4)


def test_before_any_candidate_the_prior_is_a_standard_normal():
    prior = geometric_log_prior(torch.tensor([[1.5, 0.25, 0.5, -1.0], [0.0, 0, 0, 0]]), new_statistics(2))
    assert prior.tolist() == [pytest.approx([-0.5 * (2.25 + 0.0625 + 0.25 + 1)] * 2), [0, 0]]


def test_statistics_by_hand():
    """Two candidates of verb 0 share 1/4 and 3/4 of one label; a made-up pair of mean 0 and variance 1 stays."""
    geometry = torch.tensor([[4.0, 0, 0, 0], [0.0, 2, 0, 0]])
    shares = torch.tensor([[0.25, 0], [0.75, 0]])
    once = updated_statistics(new_statistics(2), geometry, shares, decay=0.5)
    assert once[0].tolist() == [2, 1, 1.5, 0, 0, 1 + 4, 1 + 3, 1, 1]
    assert torch.equal(once[1], new_statistics(1)[0])  # a verb without a label forgets nothing
    twice = updated_statistics(once, geometry, shares, decay=0.5)
    assert twice[0].tolist() == [1 + 1 + 0.5, 1.5, 2.25, 0, 0, 1 + 4 + 2, 1 + 3 + 1.5, 1, 1]
    # Of verb 0, the mean of dx is 1.5 / 2.5 = 0.6 and its variance 7 / 2.5 - 0.36 = 2.44.
    prior = geometric_log_prior(torch.tensor([[0.6, 0.9, 0, 0], [1.6, 0.9, 0, 0]]), twice)[:, 0]
    assert prior.tolist() == pytest.approx([0, -0.5 / 2.44], abs=1e-6)


def test_statistics_find_the_arrangement_that_a_verb_has_in_common():
    """Each image has one pair of the common arrangement and four at random, and nobody says which."""
    generator = torch.Generator().manual_seed(0)
    statistics, segment = new_statistics(1), torch.arange(5) // 5
    for _ in range(200):
        geometry = 2 * torch.randn(5, 4, generator=generator)
        geometry[2] = torch.tensor([0.5, -0.3, 0.2, -1]) + 0.1 * torch.randn(4, generator=generator)
        every = torch.ones(5, 1, dtype=torch.bool)
        shares = shares_of_candidates(geometric_log_prior(geometry, statistics), every, segment, 1)
        statistics = updated_statistics(statistics, geometry, shares, decay=0.98)
    mean = statistics[0, 1:5] / statistics[0, 0]
    torch.testing.assert_close(mean, torch.tensor([0.5, -0.3, 0.2, -1]), atol=0.1, rtol=0)
    assert chosen_pairs(geometric_log_prior(geometry, statistics), every, segment, 1).squeeze(1).tolist() == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_choice_by_hand():
    """Verb 0 forms a labeled class with segment 0 (three pairs) and with segment 1 (two), verb 1 with the latter."""
    log_prior = torch.tensor([[-1.0, 5], [-3, 0], [-0.5, 0], [2, -4], [2, -3]])
    segment = torch.tensor([0, 1, 0, 0, 1])  # pairs of a category need not be neighbors
    candidate = torch.tensor([[True, False], [True, True], [True, False], [True, False], [True, True]])
    chosen = chosen_pairs(log_prior, candidate, segment, 2)
    assert chosen.nonzero().tolist() == [[1, 1], [3, 0], [4, 0]]
    shares = shares_of_candidates(log_prior, candidate, segment, 2)
    weights = [math.exp(-1), math.exp(-0.5), math.exp(2)]
    assert shares[[0, 2, 3], 0].tolist() == pytest.approx([weight / sum(weights) for weight in weights])
    assert shares[:, 1].tolist() == pytest.approx([0, 1 / (1 + math.exp(-3)), 0, 0, 1 / (1 + math.exp(3))])


def test_the_first_of_equals_is_chosen_and_none_of_nothing():
    every, segment = torch.ones(3, 1, dtype=torch.bool), torch.tensor([0, 1, 1])
    assert chosen_pairs(torch.zeros(3, 1), every, segment, 2).squeeze(1).tolist() == [True, True, False]
    assert not chosen_pairs(torch.zeros(3, 1), ~every, segment, 2).any()
    assert chosen_pairs(torch.zeros(0, 1), every[:0], segment[:0], 2).shape == (0, 1)
