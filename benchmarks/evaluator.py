"""How long the HICO-DET evaluation takes against one sort of the same arrays.

    python -m benchmarks.evaluator [--annotations instances_test2015.json] [--json result.json] [--hardest]

`ratio` is the evaluation's time over that of `np.lexsort((-scores, hoi_id))`, the median of paired runs; `floor_ratio`
is the lowest pair, what the machine gives undisturbed. The arrays are in memory before the clock starts. The bar: at
most 2.5 times the sort, and at most 4 times the detections' own bytes.

The time goes with the share of detections whose class their image shows: only those have boxes to be compared. That is
three in ten here, as of a detector with 600 classes; `--hardest` measures all of them, in no order, too.

With `--annotations`, also the whole `weakhoi evaluate-detections` of the same triplets in a npz file: `command` is its
CPU time, start-up and reading included, over that of the sort. The bar: 4 times.
"""

from __future__ import annotations

import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.detection_sets import BenchmarkTruth, hardest_detections, load_truth, plausible_detections
from benchmarks.measure import ROOT, cpu_seconds_of, describe_machine, json_option, measure_pairs, write_report
from benchmarks.pipeline import run_quietly
from pipeline.core.types import Detections
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.hicodet import SETTINGS, HicoDetResult, Rules

TIME_BAR, MEMORY_BAR, COMMAND_BAR = 2.5, 4.0, 4.0


@click.command(help=__doc__)
@click.option("--annotations", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: synthetic.")
@json_option
@click.option("--rows", type=int, default=5_000_000, show_default=True, help="Triplets to evaluate.")
@click.option("--runs", type=int, default=5, show_default=True, help="Paired runs per setting.")
@click.option(
    "--hardest", is_flag=True, help="Also where every detection is near a pair of its class, rows in no order."
)
@click.option("--seed", type=int, default=0, show_default=True)
def command(annotations: Path | None, output: Path | None, rows: int, runs: int, hardest: bool, seed: int) -> None:
    """Measure every setting, print a table, write the figures."""
    rng = np.random.default_rng(seed)
    world = load_truth(annotations, rng)
    detections = plausible_detections(world, rows, rng)
    print(f"{rows:,} triplets, {world.truth.num_images:,} images, ground truth: {world.source}")
    settings = {setting: measure_and_print(setting, detections, world, setting, runs) for setting in SETTINGS}
    report = describe(world, rows, runs, seed) | settings["default"] | {"settings": settings}
    if annotations is not None:
        report["command"] = measure_command(detections, annotations.absolute(), runs)
        print(f"whole command    {report['command']:.2f} x the CPU time of the sort")
    if hardest:
        detections = hardest_detections(world, rows, rng)
        report["hardest"] = measure_and_print("hardest", detections, world, "default", runs)
    print(f"bar: {TIME_BAR} x the sort, {MEMORY_BAR} x the memory, whole command {COMMAND_BAR} x the sort")
    write_report(report, output)


def measure_and_print(
    name: str, detections: Detections, world: BenchmarkTruth, setting: str, runs: int
) -> dict[str, Any]:
    """Measure, and print one row of the table."""
    figures = measure(detections, world, setting, runs)
    print(
        f"{name:16} {figures['seconds']:.2f} s, {figures['ratio']:.2f} x the sort "
        f"({figures['sort_seconds']:.2f} s; lowest {figures['floor_ratio']:.2f}), "
        f"memory {figures['memory_ratio']:.2f} x the detections, full mAP {figures['full']:.4f}"
    )
    return figures


def measure(detections: Detections, world: BenchmarkTruth, setting: str, runs: int) -> dict[str, Any]:
    """Medians of paired runs: sort, evaluation, sort, evaluation, ...; memory in a run of its own."""

    def evaluate() -> HicoDetResult:
        return evaluate_hicodet(detections, world.truth, Rules(world.hoi_object_ids, setting))  # type: ignore[arg-type]

    pair = measure_pairs(lambda: sort(detections), evaluate, runs)
    return {
        "ratio": 1 / pair.ratio,
        "floor_ratio": 1 / max(sorting / own for sorting, own in zip(pair.reference, pair.ours, strict=True)),
        "seconds": pair.to_json()["seconds"],
        "sort_seconds": pair.to_json()["reference_seconds"],
        "memory_ratio": peak_bytes(evaluate) / sum(getattr(detections, f.name).nbytes for f in fields(detections)),
        "full": evaluate().mean_ap,
    }


def sort(detections: Detections) -> None:
    """What every evaluation is measured by."""
    np.lexsort((-detections.scores, detections.hoi_id))


def measure_command(detections: Detections, annotations: Path, runs: int) -> float:
    """CPU time of `evaluate-detections` as a process over that of the sort, the median of paired runs."""
    with tempfile.TemporaryDirectory() as folder:
        triplets = Path(folder, "detections.npz")
        np.savez(triplets, **{f.name: getattr(detections, f.name) for f in fields(detections)})
        files = {"annotations": annotations, "detections": triplets, "output": Path(folder, "scores.json")}
        options = [f"--{name}={path}" for name, path in files.items()]
        command = [sys.executable, "-m", "stages.evaluate_detections", "--dataset=hicodet", *options]
        whole = measure_pairs(lambda: sort(detections), lambda: run_quietly(command, ROOT), runs, clock=cpu_seconds_of)
    return 1 / whole.ratio


def peak_bytes(work: Callable[[], object]) -> int:
    """Highest memory that one call allocates on top of what is there."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def describe(world: BenchmarkTruth, rows: int, runs: int, seed: int) -> dict[str, Any]:
    """What was measured, and on what."""
    return {
        "measured": "evaluate_hicodet, arrays in memory, over np.lexsort((-scores, hoi_id)) of the same arrays",
        "time_bar": TIME_BAR,
        "memory_bar": MEMORY_BAR,
        "triplets": rows,
        "images": world.truth.num_images,
        "ground_truth_pairs": len(world.truth),
        "ground_truth": world.source,
        "paired_runs": runs,
        "seed": seed,
        "numpy": np.__version__,
        "machine": describe_machine(),
    }


if __name__ == "__main__":
    command()
