import pytest
import torch

from pipeline.training.distributed import ALONE, Ranks
from pipeline.training.watch import LossWatch

FIGURES = ("loss", "pair", "gradient norm")


class Given(Ranks):
    """One of two ranks; the other's loss is ten times as high."""

    def gather(self, values):
        return torch.stack([values, values * 10])


def watched(ranks, losses, *, lag=0) -> list[str]:
    """What is told of steps with these losses, each at the images 0a to 0d, 1a to 1d, ..."""
    told = []
    watch = LossWatch(ranks, FIGURES, lag=lag, tell=told.append)
    for step, loss in enumerate(losses):
        watch.add(step, [f"{step}{letter}" for letter in "abcd"], torch.full((len(FIGURES),), float(loss)))
    watch.drain()
    return told


@pytest.mark.parametrize("lag", [0, 1])
def test_a_step_far_above_the_others_is_told_with_its_images(lag):
    (line,) = watched(ALONE, [12.0] * 10 + [8000.0] + [12.0] * 10, lag=lag)
    assert line == (
        "Warning: loss 8000 in iteration 10, 12 before, at images 10a, 10b, 10c, 10d; "
        "check their proposals, or lower train.learning_rate"
    )


def test_nothing_is_told_of_a_usual_run():
    assert watched(ALONE, [20 * 0.99**step + step % 3 for step in range(200)]) == []


def test_the_images_of_the_rank_with_the_highest_loss_are_named_by_the_rank_that_writes():
    losses = [1.0] * 10 + [500.0]
    (line,) = watched(Given(0, 2, 0), losses)
    assert "loss 5500 in iteration 10, 11 before, at images 10c, 10d;" in line
    assert watched(Given(1, 2, 1), losses) == []


def test_five_steps_are_told_and_the_last_says_so():
    told = watched(ALONE, [1.0] * 30 + [1000.0] * 10)
    assert len(told) == 5
    assert ["no more of these" in line for line in told] == [False] * 4 + [True]
