import dataclasses

import pytest
import torch

from pipeline.training.optimizer import SeparateMomentsAdam, build_optimizer, build_schedule, learning_rate
from pipeline.training.params import TrainParams


class Tiny(torch.nn.Module):
    """Parameters of every kind that a network has, one frozen."""

    not_decayed = frozenset({"bank"})

    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2), torch.nn.Linear(2, 2))
        self.backbone.from_scratch = ("2.",)
        self.head = torch.nn.Linear(2, 3)
        self.bank = torch.nn.Parameter(torch.zeros(4, 2))
        self.logit_scale = torch.nn.Parameter(torch.zeros(()))
        self.backbone_like = torch.nn.Linear(1, 1, bias=False)
        self.frozen = torch.nn.Parameter(torch.zeros(2, 2), requires_grad=False)


@pytest.fixture
def params(toyworld_params):
    return dataclasses.replace(
        toyworld_params[TrainParams], backbone_learning_rate=0.1, learning_rate=1.0, weight_decay=0.01,
        warmup_iterations=0, decay_at=(0.2, 0.4), decay_factor=0.1,
    )  # fmt: skip


def test_every_trained_parameter_is_in_the_group_of_its_kind(params):
    network = Tiny()
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = build_optimizer(network, params).param_groups
    found = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert found == {
        "backbone.0.weight": (0.1, 0.01),
        "backbone.0.bias": (0.1, 0.0),
        "backbone.1.weight": (0.1, 0.0),
        "backbone.1.bias": (0.1, 0.0),
        "backbone.2.weight": (1.0, 0.01),
        "backbone.2.bias": (1.0, 0.0),
        "head.weight": (1.0, 0.01),
        "head.bias": (1.0, 0.0),
        "bank": (1.0, 0.0),
        "logit_scale": (1.0, 0.0),
        "backbone_like.weight": (1.0, 0.01),
    }
    assert sum(len(group["params"]) for group in groups) == len(found)


def rates(params, iterations):
    """Learning rates of backbone and head at every iteration."""
    optimizer = build_optimizer(Tiny(), params)
    schedule = build_schedule(optimizer, params, iterations)
    rows = []
    for _ in range(iterations):
        rows.append(sorted({group["lr"] for group in optimizer.param_groups}))
        optimizer.step()
        schedule.step()
    return rows


def test_the_papers_steps(params):
    """12K and 24K of 60K iterations, here 2 and 4 of 10."""
    expected = [1.0] * 2 + [0.1] * 2 + [0.01] * 6
    assert [row[1] for row in rates(params, 10)] == pytest.approx(expected)
    assert [row[0] for row in rates(params, 10)] == pytest.approx([0.1 * rate for rate in expected])


def test_the_rate_of_an_iteration_is_that_of_what_is_not_pretrained(params):
    warm = dataclasses.replace(params, warmup_iterations=2)
    schedule = build_schedule(build_optimizer(Tiny(), warm), warm, 10)
    assert [learning_rate(schedule, iteration) for iteration in range(10)] == [row[1] for row in rates(warm, 10)]


def test_warm_up_is_linear_and_ends_at_the_full_rate(params):
    warm = dataclasses.replace(params, warmup_iterations=4, decay_at=())
    assert [row[1] for row in rates(warm, 6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_half_a_cosine_after_the_warm_up(params):
    cosine = dataclasses.replace(params, schedule="cosine", final_factor=0.1, warmup_iterations=2)
    assert [row[1] for row in rates(cosine, 7)] == pytest.approx([0.5, 1, 1, 0.8682, 0.55, 0.2318, 0.1], abs=1e-4)


@pytest.mark.parametrize(("optimizer", "expected"), [("adamw", 2 - 0.02), ("adam", 1.0)])
def test_adam_takes_the_decay_as_gradient(params, optimizer, expected):
    """With no other gradient, the first step of Adam is the learning rate; AdamW shrinks a weight by rate x decay."""
    network = Tiny()
    network.head.weight.data.fill_(2)
    step = build_optimizer(network, dataclasses.replace(params, optimizer=optimizer))
    network.head.weight.grad = torch.zeros(3, 2)
    step.step()
    torch.testing.assert_close(network.head.weight.data, torch.full((3, 2), expected))


def stepped(params, kinds, gradients, **options):
    """The network after a step by each gradient, of batches with boxes or without."""
    torch.manual_seed(0)
    network = Tiny()
    optimizer = build_optimizer(network, params, **options)
    for has_boxes, gradient in zip(kinds, gradients, strict=True):
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, gradient) if parameter.requires_grad else None
        if options:
            optimizer.has_boxes = has_boxes
        optimizer.step()
    return network, optimizer


@pytest.mark.parametrize("kind", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_separate_moments_of_one_kind_are_plain_adam(params, kind, optimizer):
    params = dataclasses.replace(params, optimizer=optimizer)
    found, expected = (
        stepped(params, [kind] * 3, [0.5, -1, 2], **options)[0] for options in ({"separate_moments": True}, {})
    )
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


def test_the_gradients_of_one_kind_do_not_move_the_other_kinds_moments(params):
    """Without decay, a step depends on the moments alone: those of a kind are as if the other had never been."""
    params = dataclasses.replace(params, weight_decay=0.0)
    _, mixed = stepped(params, [False, True, True, False], [0.5, 3, -7, -1], separate_moments=True)
    _, weak = stepped(params, [False, False], [0.5, -1])
    _, strong = stepped(params, [True, True], [3, -7])
    assert isinstance(mixed, SeparateMomentsAdam)
    states = (list(optimizer.state.values()) for optimizer in (mixed, weak, strong))
    for both, own, boxes in zip(*states, strict=True):
        assert both.keys() == own.keys() | {f"boxes.{name}" for name in boxes}
        assert all(torch.equal(both[name], value) for name, value in own.items())
        assert all(torch.equal(both[f"boxes.{name}"], value) for name, value in boxes.items())
