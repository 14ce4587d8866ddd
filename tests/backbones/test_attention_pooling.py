"""Absorbed projections against CLIP's own AttentionPool2d."""

import pytest
import torch
from torchvision.ops import roi_align

from pipeline.backbones import attention_pooling
from pipeline.backbones.attention_pooling import attention_pool, positional_embedding
from pipeline.backbones.roi_tokens import RoiTokens, cells_of, roi_tokens
from pipeline.store.openai_clip import AttentionPool2d


@pytest.fixture
def pool(seed) -> AttentionPool2d:
    torch.manual_seed(seed)
    pool = AttentionPool2d(spacial_dim=4, embed_dim=32, num_heads=4, output_dim=12)
    for parameter in pool.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return pool.double()


def test_equals_clip_over_torchvision_roi_align_with_gradients(pool):
    features = torch.randn(2, 32, 9, 7, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0.5, 1, 5, 6], [2, 2, 4, 3.5], [0, 0, 7, 9]], dtype=torch.float64)
    image = torch.tensor([0, 1, 1])
    tokens = roi_tokens(features, boxes, image, roi_size=4, sampling_ratio=2)
    ours = attention_pool(pool, tokens, (4, 4))
    ours.square().sum().backward()
    assert pool.k_proj.bias.grad is None  # it cancels in the softmax: theirs is zero up to rounding
    gradients = [leaf.grad for leaf in (features, *pool.parameters())]
    our_gradients = [torch.zeros(32) if gradient is None else gradient.clone() for gradient in gradients]
    features.grad = None
    pool.zero_grad()
    rois = torch.cat([image[:, None].double(), boxes], 1)
    theirs = pool(roi_align(features, rois, output_size=4, sampling_ratio=2, aligned=True))
    theirs.square().sum().backward()
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-8)
    for mine, parameter in zip(our_gradients, [features, *pool.parameters()], strict=True):
        torch.testing.assert_close(mine.double(), parameter.grad, atol=1e-8, rtol=1e-7)


def test_some_regions_at_a_time_are_all_at_once(pool, monkeypatch):
    tokens, found = torch.randn(5, 16, 32, dtype=torch.float64, requires_grad=True), []
    for at_once in (5, 2):
        monkeypatch.setattr(attention_pooling, "_CHUNK_BYTES", at_once * 17 * 32 * 8)
        pooled = attention_pool(pool, tokens, (4, 4))
        trained = [parameter for name, parameter in pool.named_parameters() if name != "k_proj.bias"]
        found.append([pooled, *torch.autograd.grad(pooled.square().sum(), [tokens, *trained])])
    for whole, cut in zip(*found, strict=True):
        torch.testing.assert_close(cut, whole, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("image", [[0, 0, 1, 1, 2], [2, 0, 1, 2, 0]])
def test_regions_some_at_a_time_read_their_own_maps(pool, monkeypatch, image):
    features = torch.randn(3, 32, 6, 5, dtype=torch.float64, requires_grad=True)
    boxes = (
        torch.tensor([0.3, 0.2, 4, 5], dtype=torch.float64) + torch.linspace(0, 0.9, 5, dtype=torch.float64)[:, None]
    )
    rois, sizes = (boxes, torch.tensor(image)), {"roi_size": 4, "sampling_ratio": 2}
    whole = attention_pool(pool, roi_tokens(features, *rois, **sizes), (4, 4))
    expected = torch.autograd.grad(whole.square().sum(), [features, pool.v_proj.weight])
    monkeypatch.setattr(attention_pooling, "_CHUNK_BYTES", 2 * 17 * 32 * 8)
    cut = attention_pool(pool, cells_of(features), (4, 4), RoiTokens.of((6, 5), *rois, **sizes))
    torch.testing.assert_close(cut, whole, atol=1e-12, rtol=1e-12)
    found = torch.autograd.grad(cut.square().sum(), [features, pool.v_proj.weight])
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)


def test_nothing_as_large_as_all_tokens_is_kept(pool):
    kept = []
    rois = torch.rand(40, 4, dtype=torch.float64).cumsum(1), torch.zeros(40, dtype=torch.int64)
    features = torch.randn(1, 32, 6, 5, dtype=torch.float64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()), lambda tensor: tensor):
        tokens = RoiTokens.of((6, 5), *rois, roi_size=4, sampling_ratio=2)
        attention_pool(pool, cells_of(features), (4, 4), tokens)
    assert 40 * 32 <= max(kept) < 40 * 16 * 32 / 4


def test_products_in_half_precision(pool):
    tokens = torch.randn(3, 16, 32, requires_grad=True)
    exact = attention_pool(pool.float(), tokens, (4, 4))
    with torch.autocast("cpu", torch.bfloat16):
        rough = attention_pool(pool, tokens, (4, 4))
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, atol=0.05 * exact.abs().max().item(), rtol=0)
    rough.float().sum().backward()
    assert tokens.grad is not None and tokens.grad.isfinite().all()


def test_positional_embedding_is_interpolated_for_other_grids(pool):
    own = positional_embedding(pool.positional_embedding, (4, 4))
    assert own is pool.positional_embedding
    other = positional_embedding(pool.positional_embedding, (10, 6))
    assert other.shape == (61, 32)
    assert torch.equal(other[0], own[0])
    assert other[1:].mean().item() == pytest.approx(own[1:].mean().item(), abs=0.1)


def test_no_regions(pool):
    assert attention_pool(pool, torch.zeros(0, 16, 32, dtype=torch.float64), (4, 4)).shape == (0, 12)
