import pytest
import torch
from torch import nn

from pipeline.backbones.base import freeze_batch_norm


def layers() -> nn.Sequential:
    """A convolution and a norm whose statistics are its own."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5)
    for values in (norm.running_mean, norm.weight.data, norm.bias.data):
        values.normal_()
    norm.running_var.uniform_(0.2, 3)
    return nn.Sequential(nn.Conv2d(3, 5, 3), norm)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mixed", [False, True])
def test_frozen_norms_are_those_of_evaluation_to_the_bit(layout, in_place, mixed):
    images, results = torch.randn(2, 3, 9, 8).contiguous(memory_format=layout), []
    for freeze in (lambda network: network.eval()[1].requires_grad_(False), freeze_batch_norm):
        network = layers().to(memory_format=layout)
        network[1].in_place = in_place
        freeze(network)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            output = network(images)
        (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
        results.append([output, *(weight.grad for weight in network[0].parameters())])
        assert network[1].weight.grad is None and network[1].bias.grad is None
    assert all(torch.equal(plain, frozen) for plain, frozen in zip(*results, strict=True))


def test_the_input_of_a_frozen_norm_is_not_kept():
    network, kept = layers(), []
    freeze_batch_norm(network)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tuple(tensor.shape)), lambda tensor: tensor
    ):
        network[1](network[0](torch.randn(2, 3, 9, 8)))
    assert (2, 3, 9, 8) in kept
    assert (2, 5, 7, 6) not in kept


def test_a_norm_in_place_writes_over_its_input():
    network = layers()
    network[1].in_place = True
    freeze_batch_norm(network)
    input = network[0](torch.randn(2, 3, 9, 8))
    assert network[1](input).data_ptr() == input.data_ptr()
