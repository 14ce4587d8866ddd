import pytest
import torch

from pipeline.core.errors import DataError
from pipeline.training.distributed import ALONE, Ranks
from pipeline.training.watch import LossLevel, LossWatch

FIGURES = ("loss", "pair", "gradient norm")


class OneOfTwo(Ranks):
    """One of two ranks; the other's figures are ten times as high, which may be more than float32 holds."""

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


def test_figures_are_read_late_where_a_gpu_would_wait_and_in_order():
    watch, figures = LossWatch(ALONE, FIGURES, lag=1), torch.arange(3.0)
    assert watch.add(0, [], figures) == []
    assert watch.add(1, [], figures + 1) == [(0, {"loss": 0, "pair": 1, "gradient norm": 2})]
    assert [iteration for iteration, _ in watch.drain()] == [1]
    assert watch.drain() == []


def test_the_images_of_the_rank_at_fault_are_named():
    with pytest.raises(DataError, match=r"'pair': inf.* at images 0c, 0d; lower train.learning_rate"):
        watched(OneOfTwo(0, 2, 0), [1e38], lag=1)


def test_a_gradient_that_is_not_finite_may_be_any_image():
    watch = LossWatch(ALONE, FIGURES, lag=0)
    with pytest.raises(DataError, match=r"'gradient norm': inf.* at images a, b; lower"):
        watch.add(0, ["a", "b"], torch.tensor([1.0, 1, float("inf")]))


@pytest.mark.parametrize("lag", [0, 1])
def test_a_step_far_above_the_others_is_told_with_its_images(lag):
    (line,) = watched(ALONE, [12.0] * 10 + [8000.0] + [12.0] * 10, lag=lag)
    assert line == (
        "Warning: loss 8000 in iteration 10, 12 before, at images 10a, 10b, 10c, 10d; "
        "check their proposals, or lower train.learning_rate"
    )


def test_the_images_of_the_rank_with_the_highest_loss_are_named_by_the_rank_that_writes():
    losses = [1.0] * 10 + [500.0]
    (line,) = watched(OneOfTwo(0, 2, 0), losses)
    assert "loss 5500 in iteration 10, 11 before, at images 10c, 10d;" in line
    assert watched(OneOfTwo(1, 2, 1), losses) == []


def test_five_steps_are_told_and_the_last_says_so():
    told = watched(ALONE, [1.0] * 30 + [1000.0] * 10)
    assert len(told) == 5
    assert ["no more of these" in line for line in told] == [False] * 4 + [True]


def after(losses) -> LossLevel:
    level = LossLevel()
    assert [level.far_below(loss) for loss in losses] == [None] * len(losses)
    return level


def test_a_loss_far_above_the_median_of_those_before_leaves_the_level():
    level = after([12.0, 11, 13, 12, 12, 12, 12, 12])
    assert level.far_below(777.0) == 12
    assert level.far_below(119.0) is None
    assert level.far_below(121.0) == 12


def test_there_is_no_level_before_eight_steps():
    assert after([1.0] * 7).far_below(1e6) is None
    assert after([1.0] * 8).far_below(1e6) == 1


@pytest.mark.parametrize(
    "losses",
    [
        [100 * 0.9**step for step in range(200)],
        [20 * 0.99**step + step % 3 for step in range(200)],
        [0.1, 0.5] * 50,
        [0.0] * 21,
        [0.0] * 20 + [-3.0],
    ],
    ids=["falls", "falls unevenly", "is small and moves", "is zero", "is negative"],
)
def test_a_usual_loss_is_no_jump(losses):
    after(losses)
    assert watched(ALONE, losses) == []


def test_the_level_follows_a_loss_that_stays_high():
    level = after([1.0] * 100)
    seen = [level.far_below(1000.0) for _ in range(100)]
    assert seen[:15] == [1] * 15
    assert seen[17:] == [None] * 83
