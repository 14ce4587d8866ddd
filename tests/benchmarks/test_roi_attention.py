import click
import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import roi_attention
from benchmarks.roi_attention import Problem, Sizes, command, largest_difference
from pipeline.backbones.attention_pooling import attention_pool

SMALL = Sizes(rois=9, channels=64, side=11, bins=7, heads=4, width=24)


def test_outputs_and_gradients_equal_clip_over_torchvision():
    for seed in range(3):
        assert largest_difference(Problem.random(SMALL, seed)) < 1e-4


def test_a_wrong_operator_is_not_timed(monkeypatch):
    monkeypatch.setattr(roi_attention, "attention_pool", lambda *of: attention_pool(*of) * 1.001)
    with pytest.raises(click.ClickException, match="differ"):
        largest_difference(Problem.random(SMALL, 0))


def test_operations_of_the_floor_are_those_of_the_absorbed_pool():
    pool = Problem.random(SMALL, 0).pool
    tokens = torch.randn(SMALL.rois, SMALL.tokens, SMALL.channels)
    with FlopCounterMode(display=False) as counter:
        attention_pool(pool, tokens, (SMALL.bins, SMALL.bins))
    assert counter.get_total_flops() == pytest.approx(SMALL.forward_flops()[0], rel=0.1)


def test_figures_are_written(measured, peak_in_this_process, monkeypatch):
    monkeypatch.setattr(roi_attention, "peak_resident_bytes", peak_in_this_process)
    _, figures = measured(command, "--rois=32", "--channels=128", "--side=14", "--runs=1", "--threads=1")
    assert figures["ratio"] == figures["both"]["ratio"] > 0
    assert figures["floor_ratio"] > 0
    assert figures["largest_difference"] < 1e-4
    assert figures["memory_ratio"] == 1 and set(figures["peak_bytes"]) == {"ours", "reference"}


def test_channels_must_fit_the_heads():
    result = CliRunner().invoke(command, ["--channels", "100"])
    assert result.exit_code == 2
    assert "not a multiple of the 32 heads" in result.output
