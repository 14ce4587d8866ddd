"""The method on a GPU against the CPU: tokens, pool, network, losses, gradients. On the CPU, against itself."""

import copy
import dataclasses

import pytest
import torch
from clip.model import AttentionPool2d

from pipeline.detection.small_fasterrcnn import small_fasterrcnn
from pipeline.hoi.attention_pooling import attention_pool
from pipeline.hoi.backbones import clip_backbone, detector_backbone
from pipeline.hoi.losses import WeakHoiLoss
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.hoi.pairing import pair_proposals
from pipeline.hoi.roi_tokens import roi_tokens
from tests.conftest import make_batch

CLOSE = {"rtol": 1e-3, "atol": 1e-4}  # float32 sums in another order, through a whole network
COUNTS = [4, 0, 6, 1, 5]  # one image without a proposal, one without a pair


@pytest.fixture
def batch(vocabulary, seed):
    return make_batch(COUNTS, vocabulary, seed=seed)


@pytest.fixture
def build(small_visual, vocabulary, model_params, toyworld_params, seed):
    """(network, loss) of model params with changes."""

    def make(**changes):
        model = dataclasses.replace(model_params, **changes)
        torch.manual_seed(3 + seed)
        network = WeakHoiNetwork(
            backbone=clip_backbone(small_visual, model),
            hoi_embeddings=torch.nn.functional.normalize(torch.randn(vocabulary.num_hois, 24), dim=1),
            logit_scale=2.0,
            vocabulary=vocabulary,
            params=model,
            teacher=clip_backbone(small_visual, model) if model.clip_regularization else None,
        ).eval()
        return network, WeakHoiLoss(vocabulary=vocabulary, model=model, train=toyworld_params.train)

    return make


def gradients(network):
    return {name: value.grad.cpu() for name, value in network.named_parameters() if value.grad is not None}


def differentiated(network, loss, batch, device, *, on_host):
    """Output, terms and gradients on a device; pairs formed on the host, or where the batch lies."""
    network, loss = copy.deepcopy(network).to(device), copy.deepcopy(loss).to(device)
    pairs = None
    if on_host:
        pairs = pair_proposals(
            batch.object_ids,
            batch.proposal_offsets,
            human_object_id=network.human_object_id,
            pairable=network.pairable.cpu(),
        ).to(device)
    batch = batch.to(device)
    output = network(batch, pairs)
    terms = loss(output, batch)
    terms.total.backward()
    return output, terms, gradients(network)


@pytest.mark.parametrize("on_host", [True, False])
@pytest.mark.parametrize(
    "changes",
    [{}, {"interaction": "ppr_fcn"}, {"clip_regularization": True}, {"interaction": "prompts", "ktn": "none"}],
)
def test_network_losses_and_gradients(build, batch, device, changes, on_host):
    network, loss = build(**changes)
    expected, expected_terms, expected_gradients = differentiated(
        network, loss, batch, torch.device("cpu"), on_host=False
    )
    output, terms, found = differentiated(network, loss, batch, device, on_host=on_host)
    assert len(expected.pairs) > 10
    for item in dataclasses.fields(expected.pairs):
        assert torch.equal(getattr(output.pairs, item.name).cpu(), getattr(expected.pairs, item.name))
    for name in ("interaction_logits", "relatedness_logits", "image_logits", "representation"):
        torch.testing.assert_close(getattr(output, name).cpu(), getattr(expected, name), **CLOSE)
    for item in dataclasses.fields(terms):
        torch.testing.assert_close(getattr(terms, item.name).cpu(), getattr(expected_terms, item.name), **CLOSE)
    assert found.keys() == expected_gradients.keys()
    for name, value in expected_gradients.items():
        scale = float(value.abs().max())
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-3 * scale + 1e-6, msg=lambda m, n=name: n + m)


def test_a_detectors_backbone(vocabulary, model_params, device, seed):
    torch.manual_seed(seed)
    detector = small_fasterrcnn(5, image_size=64).eval()
    backbone = detector_backbone(detector, 24, model_params).eval()
    twin = copy.deepcopy(backbone).to(device)
    images, boxes = torch.randn(2, 3, 64, 64), torch.tensor([[0.1, 0.2, 0.6, 0.9], [0, 0, 1, 1], [0.3, 0.3, 0.4, 0.5]])
    image = torch.tensor([0, 1, 1])
    expected = backbone.region_embedding(backbone(images), boxes, image)
    found = twin.region_embedding(twin(images.to(device)), boxes.to(device), image.to(device))
    torch.testing.assert_close(found.cpu(), expected, **CLOSE)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_roi_tokens(device, memory_format, seed):
    generator = torch.Generator().manual_seed(1 + seed)
    features = torch.randn(3, 16, 9, 9, generator=generator)
    corner = torch.rand(50, 2, generator=generator) * 8 - 1
    boxes = torch.cat([corner, corner + torch.rand(50, 2, generator=generator) * 6], 1)
    image = torch.randint(0, 3, (50,), generator=generator)
    results = []
    for where in (torch.device("cpu"), device):
        leaf = features.to(where).contiguous(memory_format=memory_format).requires_grad_()
        tokens = roi_tokens(leaf, boxes.to(where), image.to(where), roi_size=4, sampling_ratio=2)
        tokens.square().sum().backward()
        results.append((tokens.detach().cpu(), leaf.grad.cpu()))
    torch.testing.assert_close(results[1][0], results[0][0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(results[1][1], results[0][1], rtol=1e-4, atol=1e-4)


def test_attention_pool(device, seed):
    torch.manual_seed(seed)
    pool = AttentionPool2d(4, 16, 4, 12)
    tokens = torch.randn(20, 16, 16)
    expected = attention_pool(pool, tokens, (4, 4))
    twin = copy.deepcopy(pool).to(device)
    torch.testing.assert_close(attention_pool(twin, tokens.to(device), (4, 4)).cpu(), expected, rtol=1e-4, atol=1e-5)
    theirs = twin(tokens.to(device).transpose(1, 2).reshape(20, 16, 4, 4)).cpu()
    torch.testing.assert_close(theirs, expected, rtol=1e-4, atol=1e-5)
