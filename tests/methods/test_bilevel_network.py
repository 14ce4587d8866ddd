import copy

import pytest
import torch

from pipeline.backbones.base import freeze_batch_norm
from pipeline.methods.model import model_from_config
from pipeline.methods.pair_trunk import bank_logits, union_embeddings
from tests.conftest import make_batch
from tests.small_model import chosen, images_of, run, small_model


def test_a_ragged_batch_equals_its_images_one_by_one(small_visual, vocabulary, model_params):
    model = small_model(vocabulary, model_params, small_visual)
    batch = make_batch([4, 0, 6, 1], vocabulary)
    batch.object_ids[0::3] = 0
    pairs, whole = run(model, vocabulary, batch)
    for image in range(4):
        _, alone = run(model, vocabulary, images_of(batch, [image]))
        mine = pairs.image == image
        for name, rows in (("interaction_logits", mine), ("relatedness_logits", mine), ("image_logits", [image])):
            torch.testing.assert_close(whole[name][rows], alone[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("ktn", ["none", "softmax", "sigmoid", "uniform", "union"])
@pytest.mark.parametrize("detach", [True, False])
def test_bank_gets_no_gradient_from_the_local_branch_when_detached(small_visual, vocabulary, model_params, ktn, detach):
    model = small_model(vocabulary, chosen(model_params, ktn=ktn, detach_bank=detach), small_visual)
    batch = make_batch([5, 5], vocabulary)
    batch.object_ids[0] = 0
    batch.object_ids[1] = 1
    run(model, vocabulary, batch)[1]["interaction_logits"].sum().backward()
    bank = model.network.bank
    reaches = bank.grad is not None and bool(bank.grad.abs().sum() > 0)
    assert reaches == (not detach and ktn in ("softmax", "sigmoid", "uniform"))


def test_a_checkpoint_from_before_the_options_beyond_the_paper_is_loaded(small_visual, vocabulary, model_params):
    model = small_model(vocabulary, model_params, small_visual)
    state, config = model.network.state_dict(), copy.deepcopy(model.config)
    del config["flip_at_inference"]
    for name in ("bags", "refinement_heads", "refinement_iou", "refinement_ramp", "union_score"):
        del config["method"]["settings"][name]
    assert not [name for name in state if name.startswith(("refinement", "sentences"))]
    loaded = model_from_config(config, state)
    assert not loaded.flips
    batch = make_batch([4], vocabulary)
    (_, ours), (_, theirs) = run(model, vocabulary, batch), run(loaded, vocabulary, batch)
    assert ours.keys() == theirs.keys() == {"representation", *(column.name for column in model.method.columns)}
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_union_score_is_the_softmax_over_the_sentences_before_training(small_visual, vocabulary, model_params):
    model = small_model(vocabulary, chosen(model_params, union_score=True, ktn="none"), small_visual)
    network, batch = model.network, make_batch([2], vocabulary)
    batch.object_ids[:] = torch.tensor([0, 2])  # a person and a cup
    sentences = network.bank.detach().clone()
    with torch.no_grad():
        network.bank.zero_()  # training moves it
    pairs, outputs = run(model, vocabulary, batch)
    union = union_embeddings(network.backbone, network.backbone(batch.images), batch, pairs, network.params)
    shares = bank_logits(union, sentences, network.logit_scale, network.params).softmax(1)
    found = outputs["union_log_probabilities"].exp()
    torch.testing.assert_close(found[:, 1:], shares[:, 2:], atol=1e-6, rtol=1e-4)  # hold, drink with
    assert found[0, 0] < 1e-8  # nobody rides a cup


def test_refinement_heads_score_in_place_of_the_one_that_bags_teach(small_visual, vocabulary, model_params):
    model = small_model(vocabulary, chosen(model_params, bags="category", refinement_heads=2), small_visual)
    _, outputs = run(model, vocabulary, make_batch([4, 4], vocabulary))
    network, refined = model.network, outputs["refinement_logits"]
    torch.testing.assert_close(outputs["bag_logits"], network.interaction_head(outputs["representation"]))
    for head, logits in zip(network.refinement_heads, refined, strict=True):
        torch.testing.assert_close(logits, head(outputs["representation"]))
    torch.testing.assert_close(outputs["interaction_logits"], (refined[0] + refined[1]) / 2)


def test_parts_that_are_switched_off_put_nothing_out(small_visual, vocabulary, model_params):
    off = chosen(model_params, hoi_recognition=False, relatedness=False)
    _, outputs = run(small_model(vocabulary, off, small_visual), vocabulary, make_batch([3], vocabulary))
    assert set(outputs) == {"interaction_logits", "representation"}


def test_biases_start_at_the_prior(small_visual, vocabulary, model_params):
    network = small_model(vocabulary, chosen(model_params, verb_bias=-3.0, relatedness_bias=-2.0), small_visual).network
    assert network.interaction_head[-1].bias.tolist() == [-3.0] * 3
    assert network.relatedness_head[-1].bias.tolist() == [-2.0]


def test_frozen_batch_norm_stays_in_evaluation_mode(small_visual, vocabulary, model_params):
    network = small_model(vocabulary, model_params, small_visual).network
    network.train()
    freeze_batch_norm(network)
    before = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    network.backbone(make_batch([3], vocabulary).images)
    assert before
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
