"""How long detect and infer take beyond their networks' bare forward passes, and how many pixels padding wastes.

    python -m benchmarks.detect_infer [--size toyworld|rn50] [--annotations instances_test2015.json] [--json FILE]

`ratio` is the time of a stage's work (decoding images, batches through the network in resumable parts, parts and final
file written) over that of the network alone on the same batches, decoded and collated before: the median of paired
runs, the larger of detect's and infer's. `floor_ratio` is our lowest time over the lowest of the bare passes. Torch
computes with --threads threads; --decode-threads others decode meanwhile, on the cores that are left. The bar: 1.10.
`computing_thread_ratio` is the same in CPU seconds of the thread that computes (with --threads 1): what is left once
decoding has a core of its own.

`padding` is the share of a detector batch's pixels that are not of an image, at torchvision's 800 x 1333 and the batch
and part sizes of params.yaml: as `detect` groups images, and in their given order. Sizes are those of the annotations,
or drawn by seed. The bar: 10 %.

`rn50` has real architectures with random weights: a Faster R-CNN on images of 640 x 480, RN50 at 448.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from benchmarks.local_branch import SIZES
from benchmarks.measure import ROOT, describe_machine, json_option, measure_pairs, write_report
from benchmarks.synthetic_bags import random_model, vocabulary_of
from pipeline.config.params import Params, load_params
from pipeline.core.bags import BagBatch
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset
from pipeline.data.split import SplitManifest
from pipeline.detection.batches import batches_of_one_size, padded_size, resized_size
from pipeline.detection.detectors import SMALL, Detector, build_architecture, load_detector
from pipeline.detection.params import DetectParams
from pipeline.detection.proposals import DetectWork, proposal_columns
from pipeline.inference.pair_outputs import InferWork, dump_columns
from pipeline.inference.params import InferParams
from pipeline.methods.params import ModelParams
from pipeline.store.dump import write_dump
from pipeline.store.files import sha256_of
from pipeline.store.part_work import ImageWork, compute_parts
from pipeline.store.parts import FinishedParts, PartPlan
from pipeline.store.proposals_file import SplitProposals, write_proposals
from pipeline.store.ragged import offsets_of
from pipeline.toyworld.scenes import render_scene

OVERHEAD_BAR, PADDING_BAR = 1.10, 0.10
_CPU = torch.device("cpu")
_PROPOSALS = 12  # of an image, for infer
_LAYERS = {"toyworld": (1, 1, 1, 1), "rn50": (3, 4, 6, 3)}
_IMAGE = {"toyworld": (160, 160, "png"), "rn50": (640, 480, "jpg")}
_SHARES = ((480, 0.4), (427, 0.3), (360, 0.1), (0, 0.2))  # of shorter sides among photos of 640; 0: of any length
_UPRIGHT = 0.3


@dataclass(frozen=True)
class Stage:
    """A stage's work, its network alone, and what it writes in the end."""

    work: ImageWork
    part_size: int
    forward: Callable[[Any], object]
    write: Callable[[FinishedParts, Path], None]

    def whole(self, decode_threads: int) -> None:
        """From images on disk to the final file, into a folder that is thrown away."""
        with tempfile.TemporaryDirectory() as folder:
            plan = PartPlan(Path(folder) / "work", self.work.digest, self.work.num_images, self.part_size)
            compute_parts(plan, plan.ranges(), self.work, threads=decode_threads)
            self.write(FinishedParts(plan, self.work.empty), Path(folder) / "final")

    def measure(self, runs: int, decode_threads: int) -> dict[str, float]:
        """Time both in turns; batches for the bare passes are in memory."""
        loaded = [self.work.load(images) for images in self.batches()]

        @torch.inference_mode()
        def bare() -> None:
            for batch in loaded:
                self.forward(batch)

        pair = measure_pairs(bare, lambda: self.whole(decode_threads), runs)
        cpu = measure_pairs(bare, lambda: self.whole(decode_threads), runs, clock=thread_seconds)
        return {
            "ratio": 1 / pair.ratio,
            "computing_thread_ratio": 1 / cpu.ratio,
            "floor_ratio": min(pair.ours) / min(pair.reference),
            "seconds": float(np.median(pair.ours)),
            "bare_forward_seconds": float(np.median(pair.reference)),
            "images": self.work.num_images,
            "paired_runs": runs,
        }

    def batches(self) -> list[Sequence[int]]:
        """Of all parts."""
        plan = PartPlan(Path(), "", self.work.num_images, self.part_size)
        return [images for part in plan.ranges() for images in self.work.batches(*part)]


def thread_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this thread in one call."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def write_images(folder: Path, size: str, count: int) -> SplitManifest:
    """Scenes of the toyworld as image files; the labels mean nothing."""
    width, height, suffix = _IMAGE[size]
    records = []
    for index in range(count):
        scene = render_scene("test", index, root_seed=1, size=max(width, height), exponent=0.4)
        name = f"{index:06d}.{suffix}"
        scene.image.crop((0, 0, width, height)).save(folder / name)
        records.append(ImageRecord(str(index), name, width, height, sha256_of(folder / name)))
    labels = tuple(ImageLabels(record.image_id, np.zeros(1, np.int64)) for record in records)
    return SplitManifest("benchmark", "test", ".", tuple(records), labels)


def detect_stage(size: str, params: DetectParams, manifest: SplitManifest, folder: Path) -> Stage:
    """The toyworld's trained detector, or a Faster R-CNN with random weights."""
    vocabulary = vocabulary_of(SIZES[size].dataset)
    if params.detector == SMALL:
        detector = load_detector(params, root=ROOT)
    else:
        categories = ("__background__", *vocabulary.objects)
        model = build_architecture({"name": params.detector, "num_categories": len(categories)}).eval()
        detector = Detector(model, params.detector, categories, "random", "nothing", {})
    work = DetectWork(detector, manifest, vocabulary, params, folder, _CPU)

    def write(parts: FinishedParts, path: Path) -> None:
        write_proposals(
            path,
            image_ids=manifest.image_ids,
            objects=vocabulary.objects,
            detector=work.detector_name,
            **proposal_columns(parts),
        )

    return Stage(work, params.part_size, detector.model, write)


def infer_stage(size: str, params: Params, manifest: SplitManifest, folder: Path) -> Stage:
    """The whole network with random weights, on random proposals."""
    vocabulary = vocabulary_of(SIZES[size].dataset)
    visual = dataclasses.replace(SIZES[size].visual, layers=_LAYERS[size]).build()
    model = random_model(visual, params[ModelParams], vocabulary)
    network, outputs = model.network.eval(), model.method.columns
    bags = BagDataset(
        manifest=manifest,
        proposals=random_proposals(manifest, vocabulary),
        labels=LabelRows.none(len(manifest), vocabulary.num_hois),
        root=folder,
        image_side=params[ModelParams].image_size,
        max_proposals=params[InferParams].max_proposals,
    )
    work = InferWork(model, vocabulary, bags, params[InferParams].batch_size, "benchmark", _CPU)

    def write(parts: FinishedParts, path: Path) -> None:
        write_dump(
            path,
            vocabulary=vocabulary,
            image_ids=manifest.image_ids,
            variant="x",
            **dump_columns(outputs, parts.column),
        )

    def forward(batch: BagBatch) -> object:
        return network(batch, work.rule.pair(batch))

    return Stage(work, params[InferParams].part_size, forward, write)


def random_proposals(manifest: SplitManifest, vocabulary: Vocabulary) -> SplitProposals:
    """Twelve boxes an image, a third of them humans."""
    rng = np.random.default_rng(0)
    rows = _PROPOSALS * len(manifest)
    size = np.repeat([[record.width, record.height] for record in manifest.images], _PROPOSALS, axis=0)
    corner = rng.uniform(0, 0.6, (rows, 2)) * size
    things = vocabulary.hoi_object_ids[rng.integers(0, vocabulary.num_hois, rows)]
    return SplitProposals(
        image_ids=manifest.image_ids,
        objects=vocabulary.objects,
        detector="random",
        offsets=offsets_of(np.full(len(manifest), _PROPOSALS)),
        boxes=np.concatenate([corner, corner + 0.3 * size], 1).astype(np.float32),
        scores=np.tile(np.linspace(1, 0.5, _PROPOSALS, dtype=np.float32), len(manifest)),
        object_ids=np.where(np.arange(rows) % 3 == 0, vocabulary.human_object_id, things).astype(np.int64),
    )


class Transform(nn.Module):
    """What a torchvision detector of 800 x 1333 pixels does to its images first."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = GeneralizedRCNNTransform(800, 1333, [0.0] * 3, [1.0] * 3)
        self.eval()


def image_sizes(annotations: Path | None, count: int, seed: int) -> list[tuple[int, int]]:
    """Width and height of each image: of the annotation file, or drawn.

    Raises:
        click.UsageError: the file has no list of sizes.
    """
    if annotations is not None:
        sizes = json.loads(annotations.read_text(encoding="utf-8")).get("size")
        if not sizes:
            raise click.UsageError(f"{annotations}: no list `size`; expected HICO-DET's instances_*2015.json")
        return [(int(width), int(height)) for width, height in sizes]
    rng = np.random.default_rng(seed)
    sides = np.array([side for side, _ in _SHARES])
    shorter = rng.choice(sides, count, p=[share for _, share in _SHARES])
    shorter = np.where(shorter == 0, rng.integers(300, 641, count), shorter)
    upright = rng.random(count) < _UPRIGHT
    return [(int(side), 640) if turned else (640, int(side)) for side, turned in zip(shorter, upright, strict=True)]


def padding(sizes: Sequence[tuple[int, int]], params: DetectParams) -> dict[str, float]:
    """Share of padded pixels, and images of a batch, of `detect`'s batches and of batches in the given order."""
    model, grouped, in_order = Transform(), [], []
    for low in range(0, len(sizes), params.part_size):
        part = sizes[low : low + params.part_size]
        cut = batches_of_one_size(model, part, params.batch_size)
        grouped += [[part[row] for row in rows] for rows in cut]
        in_order += [part[first : first + params.batch_size] for first in range(0, len(part), params.batch_size)]
    return {
        "grouped": padded_share(model, grouped),
        "in_order": padded_share(model, in_order),
        "images_per_batch": len(sizes) / len(grouped),
        "images_per_batch_in_order": len(sizes) / len(in_order),
        "images": len(sizes),
    }


def padded_share(model: nn.Module, batches: Sequence[Sequence[tuple[int, int]]]) -> float:
    """Pixels of batches of images (width, height) that are no image's, over all."""
    inside = total = 0
    for sizes in batches:
        padded = [padded_size(model, size) for size in sizes]
        inside += sum(width * height for width, height in (resized_size(model, size) for size in sizes))
        total += len(sizes) * max(width for width, _ in padded) * max(height for _, height in padded)
    return 1 - inside / total


@click.command(help=__doc__)
@json_option
@click.option("--size", type=click.Choice(list(SIZES)), default="toyworld", show_default=True)
@click.option("--annotations", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Real image sizes.")
@click.option("--images", type=click.IntRange(1), default=192, show_default=True, help="Of detect and infer.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Paired runs.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--decode-threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def command(
    output: Path | None,
    size: str,
    annotations: Path | None,
    images: int,
    runs: int,
    threads: int,
    decode_threads: int,
    seed: int,
) -> None:
    """Measure, print a table, write the figures."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    machine = describe_machine()
    params = load_params(ROOT / "params.yaml", SIZES[size].dataset)
    wasted = padding(image_sizes(annotations, 10_000, seed), load_params(ROOT / "params.yaml", "hicodet")[DetectParams])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_images(folder, size, images)
        stages = {
            "detect": detect_stage(size, params[DetectParams], manifest, folder),
            "infer": infer_stage(size, params, manifest, folder),
        }
        figures = {stage: found.measure(runs, decode_threads) for stage, found in stages.items()}
    for stage, found in figures.items():
        print(
            f"{stage}, {images} images, {size} sizes: {found['seconds']:.2f} s, its network alone "
            f"{found['bare_forward_seconds']:.2f} s: {found['ratio']:.3f} x; "
            f"CPU of the computing thread {found['computing_thread_ratio']:.3f} x"
        )
    print(
        f"padding, {wasted['images']} images: {100 * wasted['grouped']:.1f} % of pixels, "
        f"{wasted['images_per_batch']:.1f} images a batch; in their given order {100 * wasted['in_order']:.1f} %"
    )
    print(f"bar: {OVERHEAD_BAR} x, {100 * PADDING_BAR:.0f} %")
    report = {
        "measured": "detect and infer from image files to final file over their networks' bare forward passes",
        "ratio": max(found["ratio"] for found in figures.values()),
        "floor_ratio": max(found["floor_ratio"] for found in figures.values()),
        **figures,
        "padding": wasted | {"sizes": annotations.name if annotations else "drawn"},
        "overhead_bar": OVERHEAD_BAR,
        "padding_bar": PADDING_BAR,
        "decode_threads": decode_threads,
        "seed": seed,
        "machine": machine,
    }
    write_report(report, output)


if __name__ == "__main__":
    command()
