"""Figures of `growth`: marginal costs and exponents with their uncertainty, a table and a picture.

Time is CPU seconds of the process. `marginal_ms` is what one more image (one more pair) adds from the first size to
the second, and from the second to the third: equal if linear. `exponent` is p of t = a + b n^p through the three
medians, where a is what does not depend on the size, such as loading libraries: the solution of
(t3 - t2) / (t2 - t1) = (n3^p - n2^p) / (n2^p - n1^p), whose right side is k^p where sizes grow by the same factor k.
1 is linear; null where t does not rise at each step.

`uncertainty` of a median of m runs with standard deviation s is its standard error, s sqrt(pi / 2m); that of a size
which ran once is s, the larger one of the other sizes: too small where noise grows with the time.
`marginal_uncertainty` and `exponent_uncertainty` follow from these to first order, sizes taken as independent: for the
exponent, the variance of log((t3 - t2) / (t2 - t1)) is
(u1 / (t2 - t1))^2 + u2^2 (1 / (t2 - t1) + 1 / (t3 - t2))^2 + (u3 / (t3 - t2))^2, and its root is divided by the slope
in p of the logarithm of the right side above (log k). All are one standard deviation, null with --runs 1. `verdict`
says whether the exponent less its uncertainty is above 1; or, where `above_noise` is false, that t3 - t1 is no more
than its uncertainty, so that the exponent means nothing.

`memory_growth` is peak resident memory at the largest size over that at the smallest; 1 is flat.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from scipy.optimize import brentq

_STEEPEST = 20.0  # exponents beyond are none


@dataclass(frozen=True)
class Cost:
    """What one run of a stage took."""

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int


Runs = list[list[Cost]]  # by size, then every run


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """p of value = a + b size^p through three sizes, nan where values do not rise at each step."""
    first, second = values[1] - values[0], values[2] - values[1]
    if min(first, second) <= 0:
        return math.nan
    target = math.log(second / first)
    if not _log_of_steps(sizes, -_STEEPEST) < target < _log_of_steps(sizes, _STEEPEST):
        return math.nan
    return float(brentq(lambda power: _log_of_steps(sizes, power) - target, -_STEEPEST, _STEEPEST))


def _log_of_steps(sizes: Sequence[float], power: float) -> float:
    """log((n3^p - n2^p) / (n2^p - n1^p)), which rises with p; at p = 0 its limit."""
    low, high = math.log(sizes[0] / sizes[1]), math.log(sizes[2] / sizes[1])
    if abs(power) < 1e-9:
        return math.log(high / -low)
    return math.log(math.expm1(power * high) / -math.expm1(power * low))


def exponent_uncertainty(sizes: Sequence[float], values: Sequence[float], uncertain: Sequence[float]) -> float:
    """Standard deviation of `exponent` from those of the values, to first order; nan where either is unknown."""
    power = exponent(sizes, values)
    if math.isnan(power):
        return math.nan
    first, second = values[1] - values[0], values[2] - values[1]
    by_value = 1 / first, 1 / first + 1 / second, 1 / second
    of_log = math.hypot(*(each * factor for each, factor in zip(uncertain, by_value, strict=True)))
    slope = (_log_of_steps(sizes, power + 1e-4) - _log_of_steps(sizes, power - 1e-4)) / 2e-4
    return of_log / slope


def uncertainties(runs: Sequence[Sequence[float]]) -> list[float]:
    """Standard error of the median of the runs at each size; nan where no size ran more than once.

    A size that ran once has the largest standard deviation of the others.
    """
    deviations = [statistics.stdev(values) for values in runs if len(values) > 1]
    single = max(deviations, default=math.nan)
    return [
        statistics.stdev(values) * math.sqrt(math.pi / 2 / len(values)) if len(values) > 1 else single
        for values in runs
    ]


def summary(sizes: Sequence[float], costs: dict[str, Runs], *, items: float = 1) -> dict[str, Any]:
    """Figures of each stage, nan where there is none; one more of the size is `items` more images or pairs."""
    return {name: _figures(sizes, runs, items) for name, runs in costs.items()}


def _figures(sizes: Sequence[float], runs: Runs, items: float) -> dict[str, Any]:
    single = [[cost.cpu_seconds for cost in costs] for costs in runs]
    seconds, uncertain = [statistics.median(values) for values in single], uncertainties(single)
    peaks = [statistics.median(cost.peak_bytes for cost in costs) / 2**20 for costs in runs]
    milliseconds = [1e3 / (items * (sizes[place + 1] - sizes[place])) for place in range(len(sizes) - 1)]
    power, of_power = exponent(sizes, seconds), exponent_uncertainty(sizes, seconds, uncertain)
    return {
        "cpu_seconds": seconds,
        "uncertainty": uncertain,
        "wall_seconds": [statistics.median(cost.wall_seconds for cost in costs) for costs in runs],
        "peak_mib": peaks,
        "marginal_ms": [(seconds[place + 1] - seconds[place]) * each for place, each in enumerate(milliseconds)],
        "marginal_uncertainty": [
            math.hypot(uncertain[place], uncertain[place + 1]) * each for place, each in enumerate(milliseconds)
        ],
        "exponent": power,
        "exponent_uncertainty": of_power,
        "above_noise": _is_above(seconds[-1] - seconds[0], math.hypot(uncertain[0], uncertain[-1])),
        "verdict": _verdict(seconds, uncertain, power, of_power),
        "memory_growth": peaks[-1] / peaks[0],
        "mib_per_step": (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0]),
        "runs": runs_record(runs),
    }


def runs_record(runs: Runs) -> list[list[dict[str, float]]]:
    """Every run of every size as JSON values."""
    return [
        [
            {"cpu_seconds": cost.cpu_seconds, "wall_seconds": cost.wall_seconds, "peak_mib": cost.peak_bytes / 2**20}
            for cost in costs
        ]
        for costs in runs
    ]


def _is_above(rise: float, noise: float) -> bool:
    """Whether a rise is more than its uncertainty; as long as that is unknown, whether it is one."""
    return rise > (0 if math.isnan(noise) else noise)


def _verdict(seconds: Sequence[float], uncertain: Sequence[float], power: float, of_power: float) -> str:
    if seconds[-1] <= seconds[0]:
        return "does not rise"
    if not _is_above(seconds[-1] - seconds[0], math.hypot(uncertain[0], uncertain[-1])):
        return "rise within noise: exponent means nothing"
    if math.isnan(power):
        return "no exponent: does not rise at each step"
    if math.isnan(of_power):
        return "one run: uncertainty unknown"
    return "1 or below, within uncertainty" if power - of_power <= 1 else "above 1 by more than uncertainty"


def print_table(label: str, stages: dict[str, Any]) -> None:
    """Costs, exponents and memory of each stage."""
    costs = f"ms of CPU for one more {label}, by step"
    print(f"\n{costs:54} exponent of time   memory, largest over smallest")
    for name, figures in stages.items():
        steps = [
            f"{value:8.3f} ± {noise:6.3f}{' ' if _is_above(value, noise) else '*'}"
            for value, noise in zip(figures["marginal_ms"], figures["marginal_uncertainty"], strict=True)
        ]
        power = f"{figures['exponent']:6.2f} ± {figures['exponent_uncertainty']:.2f}"
        print(f"{name:12} {'  '.join(steps):41} {power:18} {figures['memory_growth']:6.2f}   {figures['verdict']}")
    print("* no rise above its uncertainty")


def without_nan(value: Any) -> Any:
    """JSON values with null for nan, which JSON has not."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def draw(path: Path, panels: dict[str, tuple[Sequence[float], dict[str, Any]]]) -> None:
    """Time and memory over size, a row of pictures for each kind of size; all axes start at 0: linear is straight.

    Bars are from the lowest to the highest run, dashed lines join the ends of a curve. The first kind has all stages.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot

    order = list(next(iter(panels.values()))[1])  # a stage has the same color everywhere
    figure, axes = pyplot.subplots(len(panels), 2, figsize=(10, 4 * len(panels)), squeeze=False, layout="constrained")
    for row, (label, (sizes, stages)) in zip(axes, panels.items(), strict=True):
        for axis, key, unit in zip(row, ("cpu_seconds", "peak_mib"), ("CPU seconds", "peak memory, MiB"), strict=True):
            for name, figures in stages.items():
                color, medians = f"C{order.index(name)}", figures[key]
                runs = [[run[key] for run in of_size] for of_size in figures["runs"]]
                bars = [
                    (median - min(values), max(values) - median) if len(values) > 1 else (math.nan, math.nan)
                    for median, values in zip(medians, runs, strict=True)
                ]
                marks = {"marker": "o", "markersize": 4, "capsize": 3, "label": name, "color": color}
                axis.errorbar(sizes, medians, yerr=list(zip(*bars, strict=True)), **marks)
                ends = [sizes[0], sizes[-1]], [medians[0], medians[-1]]
                axis.plot(*ends, color=color, linestyle="--", linewidth=0.7)
            axis.set(xlabel=label, ylabel=unit, xlim=(0, None), ylim=(0, None))
            axis.grid(alpha=0.3)
        row[0].set_title("median of the runs, lowest to highest; dashed: straight between the ends", fontsize="small")
        row[1].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
