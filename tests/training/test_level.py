import pytest

from pipeline.training.level import LossLevel


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


def test_a_falling_loss_and_a_small_one_that_moves_are_no_jumps():
    after([100 * 0.9**step for step in range(200)])
    after([0.1, 0.5] * 50)


def test_the_level_follows_a_loss_that_stays_high():
    level = after([1.0] * 100)
    seen = [level.far_below(1000.0) for _ in range(100)]
    assert seen[:15] == [1] * 15
    assert seen[17:] == [None] * 83


@pytest.mark.parametrize("loss", [0.0, -3.0])
def test_losses_that_are_not_positive(loss):
    after([0.0] * 20).far_below(loss)
