"""Bytes of small graphs, counted by hand: float32 takes 4 bytes."""

import pytest
import torch
from torch import nn

from pipeline.planning import counted_memory
from pipeline.planning.counted_memory import MemoryCount, Shapes


def counted(*there):
    return MemoryCount(Shapes(), there)


def test_a_storage_counts_once_while_something_needs_it():
    start = Shapes().empty(10, 100)
    count = counted(start)
    assert count.held == 4000
    with count:
        double = start * 2
        half = double[:5]  # a view: no bytes of its own
        assert (count.held, count.peak) == (8000, 8000)
        del double
        assert count.held == 8000  # the view still needs all of it
        other = half + 1
        assert count.held == 10_000
        del half
    assert (count.held, count.peak) == (2000 + 4000, 10_000)
    del other, start
    assert (count.held, count.peak) == (0, 10_000)


def test_a_backward_pass_holds_what_it_needs():
    """Weight and data of 400 bytes each are there; the product takes 400, its square 400 for a while, the sum 4."""
    shapes = Shapes()
    weight, data = nn.Parameter(shapes.empty(100)), shapes.empty(100)
    count = counted(weight, data)
    with count:
        loss = (data * weight).square().sum()
        assert count.held == 800 + 400 + 4  # the square is of no use for its gradient, the product is
        loss.backward()
    del loss
    assert count.held == 800 + 400  # the gradient of the weight
    assert weight.grad.shape == (100,)


def test_real_tensors_count_alike_and_large_ones_are_not_computed(monkeypatch):
    small = torch.ones(100)
    monkeypatch.setattr(counted_memory, "_MOST_NUMBERS", 4000)
    count = counted(small)
    with count:
        assert float((small * 3).sum()) == 300
        large = small.repeat(100, 1)
    assert large.shape == (100, 100)
    assert (type(large).__name__, count.held) == ("FakeTensor", 400 + 40_000)


def test_rows_that_depend_on_numbers_are_the_most_that_there_can_be():
    unknown, known = Shapes().empty(6), torch.tensor([0, 1, 1])
    with counted():
        assert torch.nonzero(unknown).shape == (6, 1)
        assert torch.nonzero(known).shape == (2, 1)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_module_takes_its_place(requires_grad):
    shapes = Shapes()
    with torch.device("meta"):
        layer = nn.Linear(3, 2).requires_grad_(requires_grad)
        layer.twin = layer.weight
        layer.mask = torch.zeros(7)
    layer.register_buffer("known", torch.ones(2))
    shapes.place(layer)
    assert layer.twin is layer.weight
    assert layer.weight.requires_grad == requires_grad
    assert {tensor.device.type for tensor in (layer.weight, layer.bias, layer.mask)} == {"cpu"}
    assert layer.known.tolist() == [1, 1]
    assert layer(shapes.empty(5, 3)).shape == (5, 2)
