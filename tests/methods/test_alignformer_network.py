import dataclasses

import pytest
import torch

from pipeline.core.errors import ParamError
from pipeline.methods.alignformer_like.network import best_query, log_agreement
from pipeline.methods.base import trained_state
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairRule
from tests.conftest import make_batch
from tests.small_model import chosen, counts_of, run, small_model


@pytest.fixture
def model(vocabulary, model_params, small_visual):
    return small_model(vocabulary, chosen(model_params, method="alignformer_like"), small_visual)


def test_agreement_and_best_query_by_hand():
    box, half, other = [0.0, 0, 0.4, 0.4], [0.0, 0, 0.2, 0.4], [0.6, 0.6, 0.9, 0.9]
    pair = torch.tensor([[box, other]])
    queries = torch.tensor([[[half, other], [box, box], [box, other]]])  # GIoUs 1/2, 1; 1, 1/4 / 0.81 - 1; 1, 1
    agreement = log_agreement(pair, queries, torch.tensor([0]))
    assert agreement.exp().tolist() == [pytest.approx([0.75, 0.125 / 0.81, 1])]
    log_verbs = torch.tensor([[[0.6, 0.3], [0.9, 0.9], [0.2, 0.5]]]).log()
    best = best_query(agreement, log_verbs, torch.tensor([0]))
    assert best.exp().tolist() == [pytest.approx([0.45, 0.5])]


def members_of(pairs, proposals):
    """Numbers of each pair's human and object."""
    return list(zip(proposals[pairs.human].tolist(), proposals[pairs.object].tolist(), strict=True))


def test_scores_do_not_depend_on_the_order_of_proposals(model, vocabulary):
    batch = make_batch([6, 5], vocabulary)
    order = torch.tensor([4, 2, 5, 0, 1, 3, 9, 6, 10, 8, 7])
    shuffled = dataclasses.replace(batch, boxes=batch.boxes[order], object_ids=batch.object_ids[order])
    (pairs, ours), (others, theirs) = run(model, vocabulary, batch), run(model, vocabulary, shuffled)
    rows = {members: row for row, members in enumerate(members_of(pairs, torch.arange(11)))}
    same = [rows[members] for members in members_of(others, order)]
    assert len(set(same)) == len(pairs) > 5
    logits = ours["interaction_logits"]
    assert logits.std() > 0.01
    torch.testing.assert_close(theirs["interaction_logits"], logits[same])


def test_only_training_moves_the_statistics_and_nothing_moves_the_teacher(model, vocabulary):
    batch, network = make_batch([6, 5], vocabulary), model.network
    pairs, losses = PairRule.of(vocabulary).pair(batch), model.method.losses(LabeledClasses(vocabulary))

    def moved():
        before = network.prior_statistics.clone()
        terms = losses(network(batch, pairs), batch, pairs, counts_of(batch, pairs))
        sum(terms.values()).backward()
        return not torch.equal(network.prior_statistics, before)

    network.eval()
    assert not moved()
    network.train()
    assert moved()
    assert all(parameter.grad is None for parameter in network.teacher.parameters())
    assert "prior_statistics" in trained_state(network)


@pytest.mark.parametrize("heads", [3, 6])
def test_heads_are_even_and_divide_the_width(vocabulary, model_params, small_visual, heads):
    with pytest.raises(ParamError, match=rf"alignformer_like\.heads is {heads}; expected .* divides the width 16"):
        small_model(vocabulary, chosen(model_params, method="alignformer_like", heads=heads), small_visual)


def test_mixed_precision_gives_the_losses_of_float32(model, vocabulary):
    batch = make_batch([6, 5], vocabulary)
    pairs, losses = PairRule.of(vocabulary).pair(batch), model.method.losses(LabeledClasses(vocabulary))
    found = {}
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            outputs = model.network(batch, pairs)
        outputs = {name: value.float() for name, value in outputs.items()}
        found[mixed] = losses(outputs, batch, pairs, counts_of(batch, pairs))
    for name, term in found[False].items():
        assert found[True][name].item() == pytest.approx(term.item(), rel=0.1), name
