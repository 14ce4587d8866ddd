import subprocess
import sys

import pytest

from benchmarks import measure
from benchmarks.measure import MachineRates, Paired, cpu_seconds_of, machine_rates, measure_pairs, peak_resident_bytes


def test_the_ratio_is_the_median_of_pairs_not_the_ratio_of_medians():
    assert Paired(reference=(4.0, 9.0, 10.0), ours=(1.0, 3.0, 1.0)).ratio == 4.0


def test_runs_are_interleaved_after_a_warm_up():
    called = []
    pair = measure_pairs(
        lambda: called.append("theirs"), lambda: called.append("mine"), 2, clock=lambda work: work() or len(called)
    )
    assert called == ["theirs", "mine"] * 3
    assert pair == Paired(reference=(3, 5), ours=(4, 6))


def test_the_floor_is_the_slower_of_arithmetic_and_memory():
    rates = MachineRates(flops=10.0, bytes=2.0)
    assert rates.floor_seconds(100, 2) == 10.0
    assert rates.floor_seconds(10, 8) == 4.0


def test_rates_are_measured(monkeypatch):
    monkeypatch.setattr(measure, "_RATE_SECONDS", 0.01)
    rates = machine_rates()
    assert min(rates.flops, rates.bytes) > 1e6


def _allocate(size: int):
    kept = b"x" * size  # an input: not counted
    return lambda: len(b"y" * size) + len(kept)


def test_peak_counts_what_the_work_allocates_and_not_its_inputs():
    size = 100 * 2**20
    assert peak_resident_bytes(_allocate, size) == pytest.approx(size, rel=0.1)


def test_cpu_time_is_that_of_this_process_and_of_those_that_it_runs():
    turns = "sum(range(3_000_000))"
    own = cpu_seconds_of(lambda: eval(turns))
    child = cpu_seconds_of(lambda: subprocess.run([sys.executable, "-c", turns], check=True))
    waiting = cpu_seconds_of(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    assert own > 0
    assert child > waiting > 0
