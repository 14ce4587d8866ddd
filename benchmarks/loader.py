"""Share of a training step in which no batch is ready: what training itself counts, on images of the toyworld.

    python -m benchmarks.loader [--json result.json]

Trains the toyworld's network for a few epochs on drawn images, with random proposals of about as many pairs as the
detector leaves, once for each number of loader processes. None means a thread beside the step. `ratio` is the share
with the number that params.yaml gives the toyworld, and `floor_ratio` a step's time over that of a step that never
waits; `shares` has all numbers. The bar: 5 %.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.measure import ROOT, describe_machine, json_option, write_report
from benchmarks.synthetic_bags import random_bags, random_categories, random_model
from pipeline.config.layout import Layout
from pipeline.config.params import Params, load_params
from pipeline.core.device import open_device
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset
from pipeline.data.split import SplitManifest
from pipeline.methods.params import ModelParams
from pipeline.prompts.params import ClipParams
from pipeline.store.clip_checkpoint import load_clip
from pipeline.store.proposals_file import SplitProposals
from pipeline.training.loop import TrainingRun, train
from pipeline.training.params import TrainParams
from pipeline.truth.datasets.toyworld import ToyworldReader
from pipeline.truth.params import PrepareParams

BAR = 0.05
_HUMANS, _THINGS = 3, 5  # per image: 15 pairs


def drawn_bags(
    folder: Path, params: Params, num_images: int, *, humans: int = _HUMANS, things: int = _THINGS
) -> tuple[BagDataset, Vocabulary]:
    """Bags of freshly drawn images with random proposals, `folder` being the repository root."""
    drawn = load_params(ROOT / "params.yaml", "toyworld")[PrepareParams]
    prepare = dataclasses.replace(drawn, num_images={"train": num_images, "val": 1, "test": 1})
    reader = ToyworldReader(prepare, dataset="toyworld", root=folder)
    images = Layout(folder, "toyworld").drawn_images
    images.mkdir(parents=True)
    manifest = reader.read(images, lambda: None)[0].manifest
    return BagDataset(
        manifest=manifest,
        proposals=_random_proposals(manifest, reader.vocabulary, humans=humans, things=things),
        labels=manifest.label_rows(reader.vocabulary.num_hois),
        root=folder,
        image_side=params[ModelParams].image_size,
        max_proposals=params[TrainParams].max_proposals,
    ), reader.vocabulary


def _random_proposals(manifest: SplitManifest, vocabulary: Vocabulary, *, humans: int, things: int) -> SplitProposals:
    torch.manual_seed(0)
    categories = random_categories(vocabulary, len(manifest), humans=humans, things=things)
    bags = random_bags(torch.zeros(len(manifest), 0), vocabulary, categories)
    scale = manifest.images[0].width / float(bags.image_sizes[0, 0])
    return SplitProposals(
        image_ids=manifest.image_ids,
        objects=vocabulary.objects,
        detector="random",
        offsets=bags.proposal_offsets.numpy(),
        boxes=(bags.boxes * scale).numpy(),
        scores=np.full(len(bags.boxes), 0.5, np.float32),
        object_ids=bags.object_ids.numpy(),
    )


def waiting_share(
    bags: BagDataset, vocabulary: Vocabulary, params: Params, device: torch.device, *, num_workers: int, epochs: int
) -> float:
    """Train, and return the share of the time since the first step in which no batch was ready."""
    section = dataclasses.replace(params[TrainParams], num_workers=num_workers, epochs=epochs, checkpoint_every=10**9)
    clip = load_clip(str(ROOT / params[ClipParams].weights))
    torch.manual_seed(0)
    model = random_model(clip.model.visual, params[ModelParams], vocabulary)
    shares: list[float] = []
    with tempfile.TemporaryDirectory() as work:
        run = TrainingRun(section, "benchmark", Path(work), device, lambda figures: shares.append(figures["waiting"]))
        train(model, vocabulary, bags, run)
    return shares[-1]


@click.command(help=__doc__)
@json_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--images", type=click.IntRange(1), default=128, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--workers", "numbers", multiple=True, type=click.IntRange(0), default=(0, 1, 2), show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="In turns; medians are shown.")
def command(output: Path | None, device: str, images: int, epochs: int, numbers: tuple[int, ...], runs: int) -> None:
    """Measure, print a table, write the figures."""
    params, opened, machine = load_params(ROOT / "params.yaml", "toyworld"), open_device(device), describe_machine()
    numbers = tuple(dict.fromkeys([params[TrainParams].num_workers, *numbers]))
    found: dict[int, list[float]] = {number: [] for number in numbers}
    with tempfile.TemporaryDirectory() as folder:
        bags, vocabulary = drawn_bags(Path(folder), params, images)
        for _ in range(runs):
            for number in numbers:
                found[number].append(waiting_share(bags, vocabulary, params, opened, num_workers=number, epochs=epochs))
    shares = {number: float(np.median(values)) for number, values in found.items()}
    for number, share in shares.items():
        print(f"{number} loader processes: {100 * share:.1f} % of a step waits for its batch")
    print(f"bar: {100 * BAR:.0f} %")
    own = shares[params[TrainParams].num_workers]
    report: dict[str, Any] = {
        "measured": f"training the toyworld's network on {opened.type}, batches of {params[TrainParams].batch_size}",
        "ratio": own,
        "floor_ratio": 1 / (1 - own),
        "shares": shares,
        "bar": BAR,
        "machine": machine,
    }
    write_report(report, output)


if __name__ == "__main__":
    command()
