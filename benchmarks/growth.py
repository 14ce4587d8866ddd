"""How time and memory of every stage grow with images, and with pairs per image.

    python -m benchmarks.growth [--base 400] [--runs 3] [--json result.json] [--plot benchmarks/growth.png]

Each stage runs as its command, in a fresh process, on toyworlds of the base number of images and of 4 and 16 times as
many (as many to train on as to test on, one epoch). For pairs, the proposals of the middle size are written again with
every object box repeated, slightly moved, so that each image has about 2 and 4 times as many pairs (counted in test).

Runs: --runs times at each size, in rounds over the sizes so that a drift of the machine shows as spread; the largest
number of images once. Every run starts without the outputs of the one before. Figures are of the medians; `runs` in
the JSON has the values of every run.

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

`memory_growth` is peak resident memory at the largest size over that at the smallest; 1 is flat. `ratio` is the largest
exponent in images of the stages whose time rises by more than its uncertainty, `ratio_leaves_out` the other stages,
and those whose exponent is null; `floor_ratio` is the largest memory growth of all stages.

`evaluate` is also measured in one process on random dumps of HICO-DET's sizes, memory beyond its inputs, and so is
reading a manifest of 100,000 images.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import matplotlib
import numpy as np
import yaml
from scipy.optimize import brentq

from benchmarks.measure import ROOT, bytes_under, describe_machine, json_option, write_report
from benchmarks.real_sizes import measure_evaluation, measure_manifest
from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.store.dump import open_dump
from pipeline.store.files import write_text
from pipeline.store.proposals_file import SplitProposals, read_proposals, write_proposals
from pipeline.store.ragged import offsets_of, row_owner

IMAGE_FACTORS, PAIR_FACTORS = (1, 4, 16), (1, 2, 4)
EVALUATED_IMAGES, MANIFEST_IMAGES = (256, 1024, 4096), 100_000
_STEEPEST = 20.0  # exponents beyond are none
_PART_SIZE = 16  # images, as the base is smaller than a part of the toyworld: memory is to be that of whole parts
_WEIGHTS = Path("pipeline/toyworld/weights")
_RUN = ("--dataset", "toyworld", "--variant", "ours")
STAGES: dict[str, tuple[str, ...]] = {
    "prepare": ("prepare", "--dataset", "toyworld"),
    "detect": ("detect", "--dataset", "toyworld", "--split", "test"),
    "detect train": ("detect", "--dataset", "toyworld", "--split", "train"),
    "encode_prompts": ("encode_prompts", "--dataset", "toyworld"),
    "train": ("train", *_RUN),
    "infer": ("infer", *_RUN),
    "evaluate": ("evaluate", *_RUN),
    "report": ("report", "--dataset", "toyworld"),
}
MEASURED = ("prepare", "detect", "train", "infer", "evaluate", "report")
OF_PAIRS = ("train", "infer", "evaluate")  # the stages that see pairs


@dataclass(frozen=True)
class Cost:
    """What one run of a stage took."""

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int


Runs = list[list[Cost]]  # by size, then every run


def run_stage(name: str, root: Path) -> Cost:
    """Run a stage's command on a scratch root.

    Raises:
        click.ClickException: it failed; with its last line.
    """
    command = [sys.executable, "-m", f"stages.{STAGES[name][0]}", *STAGES[name][1:], "--root", str(root)]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode:
            log.seek(0)
            raise click.ClickException(f"{' '.join(command)}: {log.read().strip().rpartition(chr(10))[2]}")
    return Cost(usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss * 1024)


def write_root(root: Path, num_images: int) -> Layout:
    """A scratch root with the repository's params and weights, of a toyworld of so many images to train and to test."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    toyworld = document["toyworld"]
    toyworld["prepare"]["num_images"] = {"train": num_images, "val": 1, "test": num_images}
    toyworld["train"]["epochs"] = 1
    toyworld["report"] |= {"num_images": 4, "gallery_images": 8}
    for stage in ("detect", "infer"):
        toyworld[stage]["part_size"] = _PART_SIZE
    document["run_variants"] = ["ours"]
    write_text(root / "params.yaml", yaml.safe_dump(document))
    shutil.copytree(ROOT / _WEIGHTS, root / _WEIGHTS)
    return Layout(root, "toyworld")


def repeat_objects(proposals: SplitProposals, factor: int, human_object_id: int) -> SplitProposals:
    """Each proposal that is no person `factor` times, each copy a pixel further right; in the order of the original."""
    copies = np.where(proposals.object_ids == human_object_id, 1, factor)
    row = np.repeat(np.arange(len(copies)), copies)
    shift = np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)
    moved = proposals.boxes[row] + shift[:, None].astype(np.float32) * np.array([1, 0, 1, 0], np.float32)
    owner = row_owner(proposals.offsets)[row]
    return SplitProposals(
        image_ids=proposals.image_ids,
        objects=proposals.objects,
        detector=proposals.detector,
        offsets=offsets_of(np.bincount(owner, minlength=len(proposals))),
        boxes=moved,
        scores=proposals.scores[row],
        object_ids=proposals.object_ids[row],
    )


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


def measure_images(folder: Path, base: int, runs: int) -> tuple[dict[str, Runs], list[dict[str, float]]]:
    """Costs of every stage by image factor, and what an image takes on disk.

    Every round starts with an empty root. The last ones stay.
    """
    costs: dict[str, Runs] = {name: [[] for _ in IMAGE_FACTORS] for name in STAGES}
    for turn, place in _rounds(len(IMAGE_FACTORS), runs, once=(len(IMAGE_FACTORS) - 1,)):
        num_images = base * IMAGE_FACTORS[place]
        root = folder / f"images-{IMAGE_FACTORS[place]}"
        shutil.rmtree(root, ignore_errors=True)
        write_root(root, num_images)
        for name in STAGES:
            cost = run_stage(name, root)
            costs[name][place].append(cost)
            print(f"run {turn + 1} {num_images:6} images  {name:15} {_told(cost)}", flush=True)
    sizes = []
    for factor in IMAGE_FACTORS:
        layout = Layout(folder / f"images-{factor}", "toyworld")
        artifacts = {"manifest": layout.split("test"), "proposals": layout.proposals("test")}
        artifacts |= {"dump": layout.predictions(Run("ours")), "images": layout.drawn_images / "test"}
        sizes.append({name: bytes_under(path) / (base * factor) for name, path in artifacts.items()})
    return costs, sizes


def measure_pairs_per_image(layout: Layout, runs: int) -> tuple[dict[str, Runs], list[float]]:
    """Costs of the stages that see pairs by pair factor, and the pairs per image that these factors made."""
    splits = {split: read_proposals(layout.proposals(split)) for split in ("train", "test")}
    costs: dict[str, Runs] = {name: [[] for _ in PAIR_FACTORS] for name in OF_PAIRS}
    pairs = [math.nan for _ in PAIR_FACTORS]
    for turn, place in _rounds(len(PAIR_FACTORS), runs):
        remove_outputs_of_pairs(layout)
        for split, proposals in splits.items():
            layout.stage_manifest("detect", split).unlink(missing_ok=True)  # of the proposals that are replaced
            human = proposals.objects.index("person")
            write_proposals(layout.proposals(split), **vars(repeat_objects(proposals, PAIR_FACTORS[place], human)))
        for name in OF_PAIRS:
            cost = run_stage(name, layout.root)
            costs[name][place].append(cost)
            print(f"run {turn + 1} {PAIR_FACTORS[place]:6} x objects {name:15} {_told(cost)}", flush=True)
        dump = open_dump(layout.predictions(Run("ours")))
        pairs[place] = dump.table.arrays["human_index"].shape[0] / len(dump)
    return costs, pairs


def _rounds(num_sizes: int, runs: int, once: Sequence[int] = ()) -> list[tuple[int, int]]:
    """(round, place of the size) in the order of running: rounds over all sizes; those of `once` in the first only."""
    return [(turn, place) for turn in range(runs) for place in range(num_sizes) if turn == 0 or place not in once]


def remove_outputs_of_pairs(layout: Layout) -> None:
    """Take away all that train, infer and evaluate made, so that the next run finds nothing to replace or resume."""
    run = Run("ours")
    outputs = [layout.checkpoint, layout.training_log, layout.predictions, layout.metrics]
    outputs += [layout.per_class, layout.precision_recall, layout.weight_sweeps]
    manifests = [layout.stage_manifest(stage, run) for stage in OF_PAIRS]
    for path in (*(output(run) for output in outputs), *manifests, layout.work("train", "ours").parent):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _told(cost: Cost) -> str:
    return f"{cost.cpu_seconds:8.2f} s CPU {cost.wall_seconds:8.2f} s {cost.peak_bytes / 2**20:8.0f} MiB"


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

    Bars are from the lowest to the highest run. A dashed line joins the ends of each curve.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(panels), 2, figsize=(10, 4 * len(panels)), squeeze=False, layout="constrained")
    for row, (label, (sizes, stages)) in zip(axes, panels.items(), strict=True):
        for axis, key, unit in zip(row, ("cpu_seconds", "peak_mib"), ("CPU seconds", "peak memory, MiB"), strict=True):
            for name, figures in stages.items():
                color, medians = f"C{MEASURED.index(name)}", figures[key]
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


@click.command(help=__doc__)
@json_option
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), default=ROOT / "benchmarks/growth.png")
@click.option("--base", type=click.IntRange(4), default=400, show_default=True, help="Images at factor 1.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Runs of each stage at each size.")
@click.option(
    "--evaluated-images",
    type=click.IntRange(1),
    multiple=True,
    default=EVALUATED_IMAGES,
    show_default=True,
    help="Images of a random dump of HICO-DET's sizes; repeat.",
)
@click.option("--manifest-images", type=click.IntRange(1), default=MANIFEST_IMAGES, show_default=True)
def command(
    output: Path | None, plot: Path, base: int, runs: int, evaluated_images: tuple[int, ...], manifest_images: int
) -> None:
    """Measure, print tables, draw, write the figures."""
    machine = describe_machine()
    images = [base * factor for factor in IMAGE_FACTORS]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        image_costs, image_bytes = measure_images(folder, base, runs)
        pair_costs, pairs = measure_pairs_per_image(Layout(folder / f"images-{IMAGE_FACTORS[1]}", "toyworld"), runs)
        evaluation = [measure_evaluation(folder, num_images) for num_images in evaluated_images]
        manifest = measure_manifest(folder, manifest_images)
    by_images = summary(images, {name: image_costs[name] for name in MEASURED})
    by_pairs = summary(pairs, pair_costs, items=images[1])
    print_table("image", by_images)
    print_table("pair", by_pairs)
    exponents = {
        name: figures["exponent"]
        for name, figures in by_images.items()
        if figures["above_noise"] and not math.isnan(figures["exponent"])
    }
    print("\nbytes per image, largest size: " + ", ".join(f"{k} {v:,.0f}" for k, v in image_bytes[-1].items()))
    for figures in evaluation:
        each, peak = figures["milliseconds_per_image"], figures["peak_mib"]
        print(f"evaluate at HICO-DET's sizes, {figures['images']:5} images: {each:.2f} ms each, {peak:.0f} MiB")
    print("a manifest, per image: " + ", ".join(f"{name} {value:,.0f}" for name, value in manifest.items()))
    draw(plot, {"images": (images, by_images), "pairs per image": (pairs, by_pairs)})
    report = {
        "measured": "stage commands in fresh processes: exponent of CPU time, growth of peak memory",
        "ratio": max(exponents.values(), default=math.nan),
        "ratio_leaves_out": [name for name in by_images if name not in exponents],
        "floor_ratio": max(figures["memory_growth"] for figures in by_images.values()),
        "images": images,
        "by_images": by_images,
        "other_runs": {name: runs_record(image_costs[name]) for name in STAGES if name not in MEASURED},
        "pairs_per_image": pairs,
        "by_pairs": by_pairs,
        "bytes_per_image": image_bytes,
        "evaluate_at_real_sizes": evaluation,
        "manifest": manifest,
        "machine": machine,
    }
    write_report(without_nan(report), output)


if __name__ == "__main__":
    command()
