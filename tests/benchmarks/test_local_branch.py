import dataclasses

import click
import pytest
import torch

from benchmarks import per_pair
from benchmarks.local_branch import SIZES, Problem, command, largest_difference
from pipeline.methods.pairing import PairRule
from tests.conftest import make_batch
from tests.small_model import chosen, small_model

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("pooling", ["absorbed", "clip"])
@pytest.mark.parametrize("num_pairs", [1, 16])
def test_equals_the_straightforward_version(pooling, num_pairs):
    problem = Problem.random(SIZES["toyworld"], num_images=2, num_pairs=num_pairs, seed=1)
    assert largest_difference(problem, pooling) < 1e-4
    result, gradients = problem.step(None)
    assert result.interaction_logits.shape == (2 * num_pairs, 15)
    assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("top_k", [1, 3])
def test_equals_it_on_ragged_bags_some_of_them_empty(small_visual, vocabulary, model_params, top_k):
    torch.manual_seed(2)
    model = small_model(vocabulary, chosen(model_params, hoi_recognition=False, top_k=top_k), small_visual)
    batch = make_batch([4, 0, 7, 1, 3], vocabulary, seed=3)
    batch = dataclasses.replace(batch, images=torch.randn(5, 256, 4, 5, requires_grad=True))
    problem = Problem.of(model, vocabulary, batch)
    assert problem.ours().relatedness_loss > 0
    for pooling in per_pair.POOLINGS:
        assert largest_difference(problem, pooling) < 1e-4


def test_a_wrong_version_is_not_timed(monkeypatch):
    problem = Problem.random(SIZES["toyworld"], num_images=2, num_pairs=4, seed=1)
    honest = per_pair.spatial_terms
    monkeypatch.setattr(per_pair, "spatial_terms", lambda *of: [2 * term for term in honest(*of)])
    with pytest.raises(click.ClickException, match="differs"):
        largest_difference(problem, "absorbed")


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("num_pairs", [3, 64])
def test_every_image_has_the_pairs_asked_for(size, num_pairs):
    visual = dataclasses.replace(SIZES[size].visual, width=8)
    problem = Problem.random(dataclasses.replace(SIZES[size], visual=visual), num_images=2, num_pairs=num_pairs, seed=0)
    pairs = PairRule.of(problem.vocabulary).pair(problem.batch)
    assert pairs.offsets.diff().tolist() == [num_pairs, num_pairs]
    assert (problem.batch.labels.sum(1) > 0).all()


def test_figures_are_written(measured):
    _, figures = measured(command, "--images=2", "--pairs=4", "--runs=1", "--threads=1")
    assert figures["ratio"] > 0
    assert figures["floor_ratio"] > 0
    assert figures["largest_difference"] < 1e-3
    assert "2 images x 4 pairs" in figures["measured"]
