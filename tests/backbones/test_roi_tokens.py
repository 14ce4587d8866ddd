"""Our sparse operator against torchvision's `roi_align(aligned=True)`, values and gradients."""

import pytest
import torch
from torchvision.ops import roi_align

from pipeline.backbones.roi_tokens import roi_tokens


def _boxes(count, generator, height, width):
    first = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 1.2 - 1
    return torch.cat([first, first + torch.rand(count, 2, generator=generator) * 8], 1)


@pytest.mark.parametrize(("roi_size", "sampling_ratio"), [(1, 1), (2, 2), (4, 2), (7, 3)])
@pytest.mark.parametrize(("height", "width"), [(5, 9), (10, 10), (1, 3)])
def test_values_and_gradients_equal_torchvision(roi_size, sampling_ratio, height, width, seed):
    generator = torch.Generator().manual_seed(roi_size + seed)
    features = torch.randn(3, 6, height, width, generator=generator, dtype=torch.float64, requires_grad=True)
    twin = features.detach().clone().requires_grad_()
    boxes = _boxes(40, generator, height, width).double()
    image = torch.randint(0, 3, (40,), generator=generator)
    ours = roi_tokens(features, boxes, image, roi_size=roi_size, sampling_ratio=sampling_ratio)
    theirs = roi_align(
        twin,
        torch.cat([image[:, None].double(), boxes], 1),
        output_size=roi_size,
        sampling_ratio=sampling_ratio,
        aligned=True,
    )
    theirs = theirs.flatten(2).transpose(1, 2)
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
    weights = torch.randn(ours.shape, generator=generator, dtype=torch.float64)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    torch.testing.assert_close(features.grad, twin.grad, atol=1e-9, rtol=1e-9)


def test_no_rois():
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    tokens = roi_tokens(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), roi_size=2, sampling_ratio=2)
    assert tokens.shape == (0, 4, 3)
    tokens.sum().backward()
    assert not features.grad.any()


def test_gradient_is_the_same_on_every_run():
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(2, 16, 8, 8, generator=generator)
    boxes, image = _boxes(200, generator, 8, 8), torch.randint(0, 2, (200,), generator=generator)
    gradients = []
    for _ in range(3):
        leaf = features.clone().requires_grad_()
        roi_tokens(leaf, boxes, image, roi_size=4, sampling_ratio=2).square().sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])
