"""How time and memory of every stage grow with images, and with pairs per image.

    python -m benchmarks.growth [--base 400] [--runs 3] [--json result.json] [--plot benchmarks/growth.png]

Each stage runs as its command, in a fresh process, on toyworlds of the base number of images and of 4 and 16 times as
many (as many to train on as to test on, one epoch). For pairs, the proposals of the middle size are written again with
every object box repeated, slightly moved, so that each image has about 2 and 4 times as many pairs (counted in test).

Runs: --runs times at each size, in rounds over the sizes so that a drift of the machine shows as spread; the largest
number of images once. Every run starts without the outputs of the one before. Figures are of the medians; `runs` in
the JSON has the values of every run.

`ratio` is the largest exponent in images of the stages whose time rises by more than its uncertainty;
`ratio_leaves_out` has the other stages, and those whose exponent is null; `floor_ratio` is the largest memory growth of
all stages. benchmarks/growth_figures.py explains the other figures.

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
from pathlib import Path

import click
import numpy as np
import yaml

from benchmarks.growth_figures import Cost, Runs, draw, print_table, runs_record, summary, without_nan
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
    """A scratch root with the repository's params and weights; `num_images` in train and as many in test."""
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
    outputs = [layout.checkpoint, layout.training_log, layout.predictions, layout.detections, layout.metrics]
    outputs += [layout.per_class, layout.precision_recall, layout.weight_sweeps]
    manifests = [layout.stage_manifest(stage, run) for stage in OF_PAIRS]
    for path in (*(output(run) for output in outputs), *manifests, layout.work("train", "ours").parent):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _told(cost: Cost) -> str:
    return f"{cost.cpu_seconds:8.2f} s CPU {cost.wall_seconds:8.2f} s {cost.peak_bytes / 2**20:8.0f} MiB"


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
