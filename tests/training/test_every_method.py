"""What training asks of every method: it stops and goes on to the bit, and its loss terms are sums over images."""

from __future__ import annotations

import pytest
import torch

from pipeline.store.proposals_file import SplitProposals
from pipeline.training.loop import TrainingRun, train
from tests.small_model import METHODS, chosen, small_model
from tests.training.test_loop import assert_same_run

TRAINED = [method for method in METHODS if method != "clip_zero_shot"]


@pytest.fixture(params=TRAINED)
def build(request, vocabulary, model_params, small_visual, seed):
    """A new model of the method, each time with the same weights."""
    return lambda: small_model(vocabulary, chosen(model_params, method=request.param), small_visual, seed=seed)


def test_resume_is_bit_exact(build, bags, params, vocabulary, tmp_path):
    def run(work, stop=None):
        model, steps = build(), []
        bags.class_probabilities = model.method.needs_class_probabilities
        if not model.method.needs_proposals:
            bags.proposals = SplitProposals.none(bags.proposals.image_ids, vocabulary.objects)

        def progress(figures):
            if len(steps) == stop:
                raise KeyboardInterrupt
            steps.append(figures)

        log = train(model, vocabulary, bags, TrainingRun(params, "x", tmp_path / work, torch.device("cpu"), progress))
        return model.network, log, len(steps)

    with pytest.raises(KeyboardInterrupt):
        run("cut", stop=3)
    torch.manual_seed(999)  # a new process starts from elsewhere
    assert_same_run(run("cut"), run("straight"), steps=2)
    moved = zip(build().network.parameters(), run("straight")[0].parameters(), strict=True)
    assert any(not torch.equal(before, after) for before, after in moved)
