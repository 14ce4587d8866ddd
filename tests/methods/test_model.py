import dataclasses

import pytest
import torch

from tests.small_model import small_model


@pytest.fixture
def build(vocabulary, model_params, small_visual):
    def network(seed=0, bank="clip", pretrained=True):
        settings = model_params.settings | {"clip_resnet": {"roi_size": 2, "pretrained": pretrained}}
        params = dataclasses.replace(model_params, bank=bank, settings=settings)
        return small_model(vocabulary, params, small_visual, seed=seed).network

    return network


def stem(network):
    return network.backbone.trunk[0].weight


def test_clips_weights_and_bank_are_the_start(build, small_visual):
    network = build()
    assert torch.equal(stem(network), small_visual.conv1.weight)
    assert network.logit_scale.item() == pytest.approx(2.0)


def test_random_controls_draw_other_weights_of_the_same_kind(build, small_visual):
    network = build(seed=5, bank="random", pretrained=False)
    assert stem(network).shape == small_visual.conv1.weight.shape
    assert not torch.equal(stem(network), small_visual.conv1.weight)
    torch.testing.assert_close(network.bank.norm(dim=1), torch.ones(4))
    assert (network.bank - build(seed=5).bank).abs().max() > 0.1


def test_the_seed_alone_decides(build):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build(seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)  # the caller's stream is left where it was
    torch.manual_seed(2)
    second, other = build(seed=3).state_dict(), build(seed=4).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not torch.equal(first["interaction_head.0.weight"], other["interaction_head.0.weight"])


def test_the_given_clip_is_not_trained_along(build, small_visual):
    before = {name: value.clone() for name, value in small_visual.state_dict().items()}
    network = build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in small_visual.state_dict().items())
