"""Images a second of training: from images, and from the stored features of a frozen encoder, side by side.

    python -m benchmarks.frozen_features [--size toyworld|rn50|vit_b16] [--json result.json]

Trains `ours` three ways by the training loop itself, on drawn images on disk with random proposals and weights: the
whole encoder from images, the frozen encoder from images, and the frozen encoder from its features, which are written
first as `encode_images` writes them, float16 with mirror images. Everything counts that a step waits for: reading and
decoding, mirroring, forward, losses, backward, update. `ratio` is the speed from features over that from images with
the same frozen encoder, the median of paired runs; `ratio_to_trained` is over that of training the encoder too. There
is no bar. On a busy machine `--clock cpu` counts seconds of this process's CPU time in place of seconds.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from benchmarks.gpu_step import ENCODERS
from benchmarks.loader import drawn_bags
from benchmarks.measure import ROOT, bytes_under, describe_machine, json_option, write_report
from benchmarks.synthetic_bags import fit_norms, random_model
from pipeline.backbones.clip_resnet import VisualConfig
from pipeline.backbones.clip_vit import ViTConfig
from pipeline.backbones.params import EncodeImagesParams
from pipeline.config.params import Params, load_params
from pipeline.config.run import Run
from pipeline.core.device import open_device
from pipeline.data.bags import BagDataset, collate_bags
from pipeline.methods.model import HoiModel
from pipeline.methods.params import ModelParams
from pipeline.store.features_file import FEATURES, SplitFeatures, open_features, write_features
from pipeline.store.part_work import compute_parts
from pipeline.store.parts import FinishedParts, PartPlan
from pipeline.training.image_features import EncodeWork, encoder_of
from pipeline.training.loop import TrainingRun, train
from pipeline.training.params import TrainParams

WAYS = {"trained, from images": False, "frozen, from images": True, "frozen, from features": True}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
REFERENCE, MEASURED = "frozen, from images", "frozen, from features"


@dataclass(frozen=True)
class Problem:
    """An encoder and what it is trained on.

    Attributes:
        dataset: of params.yaml.
        row: of params.yaml, with overrides.
        frozen: the override that freezes the encoder.
        visual: its architecture.
        batch: images.
        humans, things: proposals of an image; every human pairs with every other proposal.
    """

    dataset: str
    row: str
    frozen: str
    visual: VisualConfig | ViTConfig
    batch: int
    humans: int
    things: int

    def params(self, *, frozen: bool) -> Params:
        """The row's params."""
        return load_params(
            ROOT / "params.yaml", self.dataset, Run.parse(f"{self.row}+{self.frozen}" if frozen else self.row)
        )

    def model(self, bags: BagDataset, vocabulary: Any, *, frozen: bool) -> HoiModel:
        """With random weights, whose norms fit the first images: else maps vanish or overflow."""
        torch.manual_seed(0)
        visual, params = self.visual.build(), self.params(frozen=frozen)[ModelParams]
        model = random_model(visual, params, vocabulary)
        if any(isinstance(layer, nn.BatchNorm2d) for layer in visual.modules()):
            first = [bags[row] for row in range(min(4, len(bags)))]
            fit_norms(model.network.backbone, collate_bags(first).images)
        return model


SIZES = {
    "toyworld": Problem(
        "toyworld", "ours", "model.clip_resnet.trained=pool", VisualConfig((1, 1, 1, 1), 16, 8, 96, 128), 8, 3, 5
    ),
    "rn50": Problem("hicodet", "ours", "model.clip_resnet.trained=pool", ENCODERS["rn50"], 4, 6, 24),
    "vit_b16": Problem(
        "hicodet",
        "vit_b16+model.image_size=224",
        "model.clip_vit.trained_blocks=0",
        ViTConfig(224, 16, 768, 12, 12, 512, "quick_gelu"),
        4,
        6,
        24,
    ),
}


def store(model: HoiModel, bags: BagDataset, folder: Path, device: torch.device) -> SplitFeatures:
    """Write the features as the stage does, and open them."""
    backbone, manifest = model.network.backbone, bags.manifest
    shapes, encoder = backbone.fixed_shapes(bags.image_side), encoder_of(backbone, "benchmark", bags.image_side)
    params = EncodeImagesParams(batch_size=4)
    work = EncodeWork(backbone.to(device), encoder, shapes, manifest, params, bags.image_side, bags.root, device)
    plan = PartPlan(folder / "parts", "benchmark", len(bags), params.part_size)
    compute_parts(plan, plan.ranges(), work, threads=1)
    path = folder / "features.zarr"
    column = FinishedParts(plan, work.empty).column(FEATURES)
    write_features(path, column, images=manifest.images, encoder=encoder, shapes=shapes)
    return open_features(path, images=manifest.images, encoder=encoder, remedy="")


def rate(
    model: HoiModel,
    vocabulary: Any,
    bags: BagDataset,
    params: TrainParams,
    device: torch.device,
    clock: Callable[[], float],
) -> float:
    """Images a second of the clock, from the end of the first step to that of the last."""
    moments: list[float] = []
    with tempfile.TemporaryDirectory() as work:
        run = TrainingRun(params, "benchmark", Path(work), device, lambda figures: moments.append(clock()))
        train(model, vocabulary, bags, run)
    return params.batch_size * (len(moments) - 1) / (moments[-1] - moments[0])


def measure(
    problem: Problem, images: int, epochs: int, runs: int, device: torch.device, clock: Callable[[], float]
) -> dict[str, Any]:
    """Rates of the three ways in turns, and what the features take."""
    section = dataclasses.replace(
        problem.params(frozen=True)[TrainParams],
        batch_size=problem.batch,
        epochs=epochs,
        num_workers=0,
        checkpoint_every=10**9,
    )
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        params = problem.params(frozen=True)
        bags, vocabulary = drawn_bags(folder, params, images, humans=problem.humans, things=problem.things)
        make: Callable[..., HoiModel] = lambda frozen: problem.model(bags, vocabulary, frozen=frozen)  # noqa: E731
        started = clock()
        features = store(make(True), bags, folder, device)
        seconds = clock() - started
        for _ in range(runs):
            for way, frozen in WAYS.items():
                bags.features = None
                model = make(frozen)
                if way == MEASURED:
                    bags.features, model.network.backbone.stored_shapes = features, features.shapes
                found[way].append(rate(model, vocabulary, bags, section, device, clock))
        size = bytes_under(features.path)
    speeds = {way: statistics.median(values) for way, values in found.items()}
    return {
        "ratio": _ratio(found, REFERENCE),
        "ratio_to_trained": _ratio(found, "trained, from images"),
        "images_per_second": speeds,
        "features_bytes_per_image": size / images,
        "seconds_to_store_an_image": seconds / images,
        "paired_runs": runs,
    }


def _ratio(found: dict[str, list[float]], reference: str) -> float:
    return statistics.median(ours / theirs for ours, theirs in zip(found[MEASURED], found[reference], strict=True))


@click.command(help=__doc__)
@json_option
@click.option("--size", type=click.Choice(list(SIZES)), default="toyworld", show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--images", type=click.IntRange(2), default=64, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="In turns; medians are shown.")
@click.option("--clock", type=click.Choice(list(CLOCKS)), default="wall", show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def command(
    output: Path | None, size: str, device: str, images: int, epochs: int, runs: int, clock: str, threads: int
) -> None:
    """Measure, print a table, write the figures."""
    torch.set_num_threads(threads)
    machine, problem, opened = describe_machine(), SIZES[size], open_device(device)
    found = measure(problem, images, epochs, runs, opened, CLOCKS[clock])
    for way, speed in found["images_per_second"].items():
        print(f"{way}: {speed:.1f} images/s")
    print(
        f"from features {found['ratio']:.2f} x as fast as from images with the encoder frozen, "
        f"{found['ratio_to_trained']:.2f} x with it trained; {found['features_bytes_per_image'] / 1e6:.2f} MB an image"
    )
    measured = (
        f"training {problem.row} at {size} sizes on {opened.type}, {images} images in batches of {problem.batch}, "
        f"{problem.humans * (problem.humans + problem.things - 1)} pairs an image, float32; seconds: {clock}"
    )
    write_report({"measured": measured, **found, "machine": machine}, output)


if __name__ == "__main__":
    command()
