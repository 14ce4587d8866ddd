"""What the benchmarks share: paired runs, a process's memory, the machine's own rates, and where figures go.

The floor of a computation is the roofline: its floating-point operations over the rate at which this machine
multiplies matrices, or its bytes over the rate at which it copies, whichever takes longer; both rates are measured.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

ROOT = Path(__file__).parent.parent
json_option = click.option(
    "--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here."
)
_RATE_SECONDS = 0.3  # how long each of the machine's rates is measured
_MATRIX_SIDE = 1536
_COPY_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Paired:
    """Seconds of interleaved runs: reference, ours, reference, ours, ..."""

    reference: tuple[float, ...]
    ours: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Reference over ours, the median of the pairs."""
        return statistics.median(theirs / mine for theirs, mine in zip(self.reference, self.ours, strict=True))

    def to_json(self) -> dict[str, float]:
        """The ratio and both medians."""
        return {
            "ratio": self.ratio,
            "seconds": statistics.median(self.ours),
            "reference_seconds": statistics.median(self.reference),
            "paired_runs": len(self.ours),
        }


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cpu_seconds_of(work: Callable[[], object]) -> float:
    """User and system time of one call, with that of the processes that it runs to their end."""
    before = _cpu_seconds()
    work()
    return _cpu_seconds() - before


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(times.ru_utime + times.ru_stime for times in used)


def measure_pairs(
    reference: Callable[[], object],
    ours: Callable[[], object],
    runs: int,
    clock: Callable[[Callable[[], object]], float] = seconds_of,
    *,
    warm_up: bool = True,
) -> Paired:
    """Warm both up, unless they have run before, then time them in turns; `clock` gives the seconds of one call."""
    if warm_up:
        reference(), ours()
    pairs = [(clock(reference), clock(ours)) for _ in range(runs)]
    return Paired(tuple(theirs for theirs, _ in pairs), tuple(mine for _, mine in pairs))


@dataclass(frozen=True)
class MachineRates:
    """What this machine does at best, with the threads that it has now: float32 FLOP/s and copied bytes/s."""

    flops: float
    bytes: float

    def floor_seconds(self, flops: float, moved_bytes: float) -> float:
        """The roofline's seconds; `moved_bytes` counts what is read and what is written."""
        return max(flops / self.flops, moved_bytes / self.bytes)

    def to_json(self) -> dict[str, float]:
        """In GFLOP/s and GB/s."""
        return {"gflops_per_second": self.flops / 1e9, "copy_gb_per_second": self.bytes / 1e9}


def machine_rates() -> MachineRates:
    """Best of repeated float32 matrix products and copies (bytes read + bytes written)."""
    left, right = torch.ones(2, _MATRIX_SIDE, _MATRIX_SIDE)
    product = torch.empty(_MATRIX_SIDE, _MATRIX_SIDE)
    source = torch.ones(_COPY_BYTES // 4)
    target = torch.ones_like(source)
    multiply, copy = _best(lambda: torch.mm(left, right, out=product)), _best(lambda: target.copy_(source))
    return MachineRates(flops=2 * _MATRIX_SIDE**3 / multiply, bytes=2 * _COPY_BYTES / copy)


def _best(work: Callable[[], object]) -> float:
    """Lowest seconds of a call within `_RATE_SECONDS`."""
    work()
    best, end = float("inf"), time.perf_counter() + _RATE_SECONDS
    while time.perf_counter() < end:
        best = min(best, seconds_of(work))
    return best


def peak_resident_bytes(prepare: Callable[..., Callable[[], object]], *arguments: Any) -> int:
    """Highest resident memory of one call above what was there before it, in a process of its own.

    Args:
        prepare: importable by name; called in the new process, makes the inputs and returns the work. Inputs are not
            counted, nor is what a first small call has to load if `prepare` makes one.
        arguments: for `prepare`; picklable.

    Raises:
        RuntimeError: not on Linux, whose /proc gives the figure.
    """
    if not Path("/proc/self/clear_refs").exists():
        raise RuntimeError("peak memory is read from /proc/self (Linux); found none; leave memory out")
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak_of_this_process, (prepare, arguments))


def _peak_of_this_process(prepare: Callable[..., Callable[[], object]], arguments: tuple[Any, ...]) -> int:
    work = prepare(*arguments)
    gc.collect()  # what is resident, but no longer used, would be taken for an input
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak back to what is resident now
    before = _status_bytes("VmRSS")
    work()
    return _status_bytes("VmHWM") - before


def _status_bytes(field: str) -> int:
    """A figure of /proc/self/status, which is in kB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def bytes_under(path: Path) -> int:
    """Size of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def describe_machine() -> dict[str, Any]:
    """Where a figure comes from; the load says whether other work disturbed it."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_before": round(os.getloadavg()[0], 2),
    }


def write_report(report: dict[str, Any], output: Path | None) -> None:
    """Write figures as JSON where a file is named."""
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
