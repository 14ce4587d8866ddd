import click
import pytest

from benchmarks import train_step
from benchmarks.plain_step import POOLS, PlainStep
from benchmarks.train_step import SIZES, Ways, command, measure_row


@pytest.mark.parametrize("pool", list(POOLS))
def test_every_row_is_measured(measured, peak_in_this_process, monkeypatch, pool):
    monkeypatch.setattr(train_step, "peak_resident_bytes", peak_in_this_process)
    printed, figures = measured(command, "--size=toyworld", "--runs=1", f"--pool={pool}")
    rows = list(figures["rows"].values())
    assert len(rows) == 3 and printed.count("s of CPU") == 3
    assert figures["ratio"] == rows[0]["ratio"] > 0
    assert 0 < rows[0]["largest_difference"] < 1e-4
    assert 0 < rows[1]["largest_difference"] < 1e-4
    assert sum(rows[0]["shares"].values()) == pytest.approx(1)
    assert "convolutions" in rows[0]["shares"] and "convolutions" not in rows[1]["shares"]


def test_a_wrong_version_is_not_timed(monkeypatch):
    honest = PlainStep.losses
    monkeypatch.setattr(PlainStep, "losses", lambda *of: {name: 1.01 * term for name, term in honest(*of).items()})
    with pytest.raises(click.ClickException, match="nothing timed"):
        measure_row(Ways(SIZES["toyworld"], encoder=True), "reference", "ours", runs=1, flops_rate=1.0)
