"""How time and memory of every stage grow with images, and with pairs per image.

    python -m benchmarks.growth [--base 100] [--json result.json] [--plot benchmarks/growth.png]

Each stage runs as its command, in a fresh process, on toyworlds of the base number of images and of 4 and 16 times as
many (as many to train on as to test on, one epoch). For pairs, the proposals of the middle size are written again with
every object box repeated, slightly moved, so that each image has about 2 and 4 times as many pairs.

Time is CPU seconds of the process. What does not depend on the size, such as loading libraries, is left out of the
`exponent`: with t = a + b n^p at three sizes that grow by the same factor k, (t3 - t2) / (t2 - t1) = k^p. 1 is linear.
`memory_growth` is peak resident memory at the largest size over that at the smallest; 1 is flat. `ratio` is the largest
exponent of all stages in images, `floor_ratio` the largest memory growth.

`evaluate` is also measured in one process on random dumps of HICO-DET's sizes, memory beyond its inputs, and so is
reading a manifest of 100,000 images.
"""

from __future__ import annotations

import math
import os
import shutil
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

from benchmarks.measure import describe_machine, write_report
from benchmarks.real_sizes import measure_evaluation, measure_manifest
from pipeline.core.layout import Layout
from pipeline.store.dump import open_dump
from pipeline.store.files import write_text
from pipeline.store.proposals_file import SplitProposals, read_proposals, write_proposals
from pipeline.store.ragged import offsets_of, row_owner

ROOT = Path(__file__).parent.parent
IMAGE_FACTORS, PAIR_FACTORS = (1, 4, 16), (1, 2, 4)
EVALUATED_IMAGES, MANIFEST_IMAGES = (256, 1024, 4096), 100_000
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
    """p of value = a + b size^p through three sizes, nan where values do not rise.

    Sizes that do not grow by the same factor are taken as if they did, by their mean growth.
    """
    steps = values[1] - values[0], values[2] - values[1]
    growth = math.sqrt(sizes[2] / sizes[0])
    return math.log(steps[1] / steps[0]) / math.log(growth) if min(steps) > 0 else math.nan


def bytes_under(path: Path) -> int:
    """Size of a file, or of all files of a folder."""
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )


def measure_images(folder: Path, base: int) -> tuple[dict[str, list[Cost]], list[dict[str, float]]]:
    """Costs of every stage by image factor, and what an image takes on disk."""
    costs: dict[str, list[Cost]] = {name: [] for name in STAGES}
    sizes = []
    for factor in IMAGE_FACTORS:
        layout = write_root(folder / f"images-{factor}", base * factor)
        for name in STAGES:
            costs[name].append(run_stage(name, layout.root))
            print(f"{base * factor:6} images  {name:15} {_told(costs[name][-1])}", flush=True)
        artifacts = {"manifest": layout.split("test"), "proposals": layout.proposals("test")}
        artifacts |= {"dump": layout.predictions("ours"), "images": layout.drawn_images / "test"}
        sizes.append({name: bytes_under(path) / (base * factor) for name, path in artifacts.items()})
    return costs, sizes


def measure_pairs_per_image(layout: Layout) -> tuple[dict[str, list[Cost]], list[float]]:
    """Costs of the stages that see pairs by pair factor, and the pairs per image that these factors made."""
    splits = {split: read_proposals(layout.proposals(split)) for split in ("train", "test")}
    costs: dict[str, list[Cost]] = {name: [] for name in OF_PAIRS}
    pairs = []
    for factor in PAIR_FACTORS:
        for split, proposals in splits.items():
            layout.stage_manifest("detect", split).unlink(missing_ok=True)  # of the proposals that are replaced
            write_proposals(
                layout.proposals(split), repeat_objects(proposals, factor, proposals.objects.index("person"))
            )
        for name in OF_PAIRS:
            costs[name].append(run_stage(name, layout.root))
            print(f"{factor:6} x objects {name:15} {_told(costs[name][-1])}", flush=True)
        dump = open_dump(layout.predictions("ours"))
        pairs.append(dump.arrays["human_index"].shape[0] / len(dump))
    return costs, pairs


def _told(cost: Cost) -> str:
    return f"{cost.cpu_seconds:8.2f} s CPU {cost.wall_seconds:8.2f} s {cost.peak_bytes / 2**20:8.0f} MiB"


def summary(sizes: Sequence[float], costs: dict[str, list[Cost]]) -> dict[str, Any]:
    """Figures of each stage as JSON values."""
    return {
        name: {
            "cpu_seconds": [cost.cpu_seconds for cost in runs],
            "wall_seconds": [cost.wall_seconds for cost in runs],
            "peak_mib": [cost.peak_bytes / 2**20 for cost in runs],
            "exponent": exponent(sizes, [cost.cpu_seconds for cost in runs]),
            "memory_growth": runs[-1].peak_bytes / runs[0].peak_bytes,
            "mib_per_step": (runs[-1].peak_bytes - runs[0].peak_bytes) / 2**20 / (sizes[-1] - sizes[0]),
        }
        for name, runs in costs.items()
    }


def draw(path: Path, panels: dict[str, tuple[Sequence[float], dict[str, Any]]]) -> None:
    """Time and memory over size, a row of pictures for each kind of size; all axes start at 0: linear is straight."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(panels), 2, figsize=(10, 4 * len(panels)), squeeze=False, layout="constrained")
    for row, (label, (sizes, stages)) in zip(axes, panels.items(), strict=True):
        for axis, key, unit in zip(row, ("cpu_seconds", "peak_mib"), ("CPU seconds", "peak memory, MiB"), strict=True):
            for name, figures in stages.items():
                axis.plot(sizes, figures[key], marker="o", label=name, color=f"C{MEASURED.index(name)}")
            axis.set(xlabel=label, ylabel=unit, xlim=(0, None), ylim=(0, None))
            axis.grid(alpha=0.3)
        row[1].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


@click.command(help=__doc__)
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), default=ROOT / "benchmarks/growth.png")
@click.option("--base", type=click.IntRange(4), default=100, show_default=True, help="Images at factor 1.")
def command(output: Path | None, plot: Path, base: int) -> None:
    """Measure, print tables, draw, write the figures."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        image_costs, image_bytes = measure_images(folder, base)
        pair_costs, pairs = measure_pairs_per_image(Layout(folder / f"images-{IMAGE_FACTORS[1]}", "toyworld"))
        evaluation = [measure_evaluation(folder, num_images) for num_images in EVALUATED_IMAGES]
        manifest = measure_manifest(folder, MANIFEST_IMAGES)
    images = [base * factor for factor in IMAGE_FACTORS]
    by_images = summary(images, {name: image_costs[name] for name in MEASURED})
    by_pairs = summary(pairs, pair_costs)
    for label, stages in (("images", by_images), ("pairs", by_pairs)):
        print(f"\n{label:12} exponent of time   memory, largest over smallest")
        for name, figures in stages.items():
            print(f"{name:12} {figures['exponent']:16.2f}   {figures['memory_growth']:.2f}")
    print("\nbytes per image, largest size: " + ", ".join(f"{k} {v:,.0f}" for k, v in image_bytes[-1].items()))
    for figures in evaluation:
        each, peak = figures["milliseconds_per_image"], figures["peak_mib"]
        print(f"evaluate at HICO-DET's sizes, {figures['images']:5} images: {each:.2f} ms each, {peak:.0f} MiB")
    print("a manifest, per image: " + ", ".join(f"{name} {value:,.0f}" for name, value in manifest.items()))
    draw(plot, {"images": (images, by_images), "pairs per image": (pairs, by_pairs)})
    report = {
        "measured": "stage commands in fresh processes: exponent of CPU time, growth of peak memory",
        "ratio": max(figures["exponent"] for figures in by_images.values()),
        "floor_ratio": max(figures["memory_growth"] for figures in by_images.values()),
        "images": images,
        "by_images": by_images,
        "pairs_per_image": pairs,
        "by_pairs": by_pairs,
        "bytes_per_image": image_bytes,
        "evaluate_at_real_sizes": evaluation,
        "manifest": manifest,
        "machine": machine,
    }
    write_report(report, output)


if __name__ == "__main__":
    command()
