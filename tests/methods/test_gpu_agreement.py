"""Methods on a GPU against the CPU: tokens, pool, networks, losses, gradients. On the CPU, against itself."""

import copy

import pytest
import torch

from pipeline.backbones.attention_pooling import attention_pool
from pipeline.backbones.detector_fpn import DetectorFpn
from pipeline.backbones.roi_tokens import roi_tokens
from pipeline.detection.small_fasterrcnn import small_fasterrcnn
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairRule
from pipeline.store.openai_clip import AttentionPool2d
from tests.conftest import make_batch
from tests.small_model import chosen, counts_of, small_model

CLOSE = {"rtol": 1e-3, "atol": 1e-4}  # float32 sums in another order, through a whole network
COUNTS = [4, 0, 6, 1, 5]  # one image without a proposal, one without a pair


def differentiated(model, vocabulary, batch, device):
    """Outputs, terms and gradients on a device."""
    pairs = PairRule.of(vocabulary).pair(batch)
    assert len(pairs) > 10
    network = copy.deepcopy(model.network).eval().to(device)
    losses, batch, pairs = (
        model.method.losses(LabeledClasses(vocabulary)).to(device),
        batch.to(device),
        pairs.to(device),
    )
    outputs = network(batch, pairs)
    terms = losses(outputs, batch, pairs, counts_of(batch, pairs))
    sum(terms.values()).backward()
    gradients = {name: value.grad.cpu() for name, value in network.named_parameters() if value.grad is not None}
    return {name: value.detach().cpu() for name, value in (outputs | terms).items()}, gradients


@pytest.mark.parametrize("method", ["bilevel", "ppr_fcn", "prompt_classifier"])
def test_network_losses_and_gradients(vocabulary, model_params, small_visual, device, method):
    model = small_model(vocabulary, chosen(model_params, method=method), small_visual)
    batch = make_batch(COUNTS, vocabulary)
    batch.object_ids[0::2] = vocabulary.human_object_id
    expected, expected_gradients = differentiated(model, vocabulary, batch, torch.device("cpu"))
    found, gradients = differentiated(model, vocabulary, batch, device)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **CLOSE)
    assert gradients.keys() == expected_gradients.keys()
    for name, value in expected_gradients.items():
        scale = 1e-3 * float(value.abs().max()) + 1e-6
        torch.testing.assert_close(gradients[name], value, rtol=1e-3, atol=scale, msg=lambda m, n=name: n + m)


def test_a_detectors_backbone(device):
    torch.manual_seed(0)
    detector = small_fasterrcnn(5, image_size=64).eval()
    backbone = DetectorFpn(detector, {}, embed_dim=24, image_size=64).eval()
    twin = copy.deepcopy(backbone).to(device)
    images, boxes = torch.randn(2, 3, 64, 64), torch.tensor([[0.1, 0.2, 0.6, 0.9], [0, 0, 1, 1], [0.3, 0.3, 0.4, 0.5]])
    image = torch.tensor([0, 1, 1])
    expected = backbone.region_embedding(backbone(images), boxes, image)
    found = twin.region_embedding(twin(images.to(device)), boxes.to(device), image.to(device))
    torch.testing.assert_close(found.cpu(), expected, **CLOSE)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_roi_tokens(device, memory_format):
    generator = torch.Generator().manual_seed(1)
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


def test_attention_pool(device):
    torch.manual_seed(0)
    pool = AttentionPool2d(4, 16, 4, 12)
    tokens = torch.randn(20, 16, 16)
    expected = attention_pool(pool, tokens, (4, 4))
    twin = copy.deepcopy(pool).to(device)
    torch.testing.assert_close(attention_pool(twin, tokens.to(device), (4, 4)).cpu(), expected, rtol=1e-4, atol=1e-5)
    theirs = twin(tokens.to(device).transpose(1, 2).reshape(20, 16, 4, 4)).cpu()
    torch.testing.assert_close(theirs, expected, rtol=1e-4, atol=1e-5)
