import dataclasses

import numpy as np
import pytest
import torch

from pipeline.core.types import KnowledgeBank
from pipeline.store.clip_architecture import ClipConfig, build_clip
from pipeline.store.clip_checkpoint import ClipCheckpoint
from pipeline.training.start import build_network


@pytest.fixture
def checkpoint(seed):
    torch.manual_seed(seed)
    config = ClipConfig(
        embed_dim=12, image_resolution=64, vision_layers=(1, 1, 1, 1), vision_width=4, context_length=8,
        vocab_size=50, transformer_width=64, transformer_heads=1, transformer_layers=1,
    )  # fmt: skip
    return ClipCheckpoint(build_clip(config).eval(), "tiny", "0f", None)


@pytest.fixture
def bank(vocabulary):
    rows = np.random.default_rng(0).standard_normal((vocabulary.num_hois, 12)).astype(np.float32)
    return KnowledgeBank(rows / np.linalg.norm(rows, axis=1, keepdims=True), ("",) * len(rows), "tiny", "0f")


@pytest.fixture
def build(checkpoint, bank, vocabulary, model_params):
    return lambda seed=0, **changes: build_network(
        checkpoint, bank, vocabulary, dataclasses.replace(model_params, **changes), seed=seed
    )


def stem(network):
    return network.backbone.trunk[0].weight


def test_clips_weights_and_bank_are_the_start(build, checkpoint, bank):
    network = build(backbone="clip", bank="clip")
    assert torch.equal(stem(network), checkpoint.model.visual.conv1.weight)
    assert torch.equal(network.bank, torch.from_numpy(bank.hoi_embeddings))
    assert network.logit_scale.item() == pytest.approx(checkpoint.model.logit_scale.item())


def test_random_controls_draw_other_weights_of_the_same_kind(build, checkpoint, bank):
    network = build(seed=5, backbone="random", bank="random")
    assert stem(network).shape == checkpoint.model.visual.conv1.weight.shape
    assert not torch.equal(stem(network), checkpoint.model.visual.conv1.weight)
    torch.testing.assert_close(network.bank.norm(dim=1), torch.ones(4))
    assert (network.bank - torch.from_numpy(bank.hoi_embeddings)).abs().max() > 0.1


def test_the_seed_alone_decides(build):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build(seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)  # the caller's stream is left where it was
    torch.manual_seed(2)
    second, other = build(seed=3).state_dict(), build(seed=4).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not torch.equal(first["interaction_head.0.weight"], other["interaction_head.0.weight"])


def test_the_given_clip_is_not_trained_along(build, checkpoint):
    before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
    network = build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in checkpoint.model.state_dict().items())
