import pytest

from benchmarks.loader import command

pytestmark = pytest.mark.slow


def test_shares_are_written_for_each_number_of_processes(measured):
    printed, figures = measured(command, "--device=cpu", "--images=16", "--epochs=1", "--workers=1", "--runs=1")
    assert set(figures["shares"]) == {"0", "1"}  # the toyworld's own number too
    assert all(0 <= share < 1 for share in figures["shares"].values())
    assert figures["ratio"] == figures["shares"]["0"]
    assert figures["floor_ratio"] == pytest.approx(1 / (1 - figures["ratio"]))
    assert "0 loader processes: " in printed
