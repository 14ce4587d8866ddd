"""What training asks of every method: it stops and goes on to the bit, and its loss terms are sums over images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.backbones.base import freeze_batch_norm
from pipeline.config.params import ExecutionParams
from pipeline.core.errors import ParamError
from pipeline.store.proposals_file import SplitProposals
from pipeline.training.distributed import ALONE
from pipeline.training.loop import TrainingRun, train
from pipeline.training.step import optimizer_step
from tests.small_model import METHODS, chosen, fed, images_of, small_loss, small_model, with_class_probabilities
from tests.training.test_loop import assert_same_run

TRAINED = [method for method in METHODS if method != "clip_zero_shot"]


@pytest.fixture(params=TRAINED)
def build(request, vocabulary, model_params, small_visual, seed):
    """A new model of the method, each time with the same weights."""
    return lambda: small_model(vocabulary, chosen(model_params, method=request.param), small_visual, seed=seed)


def test_micro_batches_give_the_gradients_of_the_whole_batch(build, params, vocabulary, batch, bags, tmp_path):
    """Of two, one and one images, the third without pairs; or they are refused."""
    model = build()
    if model.method.couples_images:
        execution = ExecutionParams(micro_batch=2)
        run = TrainingRun(params, "x", tmp_path, torch.device("cpu"), pytest.fail, execution)
        name = model.config["method"]["name"]
        with pytest.raises(ParamError, match=r"execution.micro_batch is 2, but this method compares .*; expected null"):
            train(model, vocabulary, bags, run)
        return
    batch = with_class_probabilities(batch, vocabulary) if model.method.needs_class_probabilities else batch
    batch_loss, stop = small_loss(model, vocabulary, params), torch.optim.SGD(model.network.parameters(), lr=0.0)
    freeze_batch_norm(batch_loss.train())

    def step(*cuts):
        cpu, images = torch.device("cpu"), tuple(range(len(batch)))
        parts = [replace(fed(images_of(batch, list(cut)), vocabulary, cpu), image_index=images) for cut in cuts]
        figures = optimizer_step(batch_loss, stop, parts, ALONE, gradient_clip=1e6)
        return figures, {name: value.grad for name, value in model.network.named_parameters()}

    (figures, gradients), (expected, of_whole) = step(range(2), [2], [3]), step(range(4))
    torch.testing.assert_close(figures, expected, rtol=1e-5, atol=1e-6)
    assert expected[-1] > 0.01
    for name, value in of_whole.items():
        assert (value is None) == (gradients[name] is None), name
        if value is not None:
            torch.testing.assert_close(gradients[name], value, rtol=1e-4, atol=1e-6 * float(expected[-1]), msg=name)


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
