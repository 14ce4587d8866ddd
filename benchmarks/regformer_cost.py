"""What RegFormer costs against the paper's method: time and peak memory of an image, in training and at inference.

    python -m benchmarks.regformer_cost [--size rn50|toyworld] [--json result.json]

Both take the same images, proposals and pairs, with random weights and the sizes of params.yaml; RegFormer trains
without proposals. `ratio` is the time of a training step of `ours` over that of `regformer`, the median of paired runs;
`inference` has that of a forward pass over all pairs, and `memory_ratio` is RegFormer's peak memory over that of
`ours`, each in a process of its own. `floor_ratio` is RegFormer's time over that of its matrix products and
convolutions, counted by PyTorch, at this machine's rate of matrix products. There is no bar.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_step import ENCODERS
from benchmarks.measure import (
    ROOT,
    MachineRates,
    describe_machine,
    json_option,
    machine_rates,
    measure_pairs,
    peak_resident_bytes,
    write_report,
)
from benchmarks.synthetic_bags import random_bags, random_categories, random_model, vocabulary_of
from pipeline.backbones.base import freeze_batch_norm
from pipeline.backbones.clip_resnet import VisualConfig
from pipeline.config.params import Params, load_params
from pipeline.config.run import Run
from pipeline.core.bags import BagBatch
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import HoiModel
from pipeline.methods.pairing import PairRule
from pipeline.methods.params import ModelParams
from pipeline.training.distributed import ALONE
from pipeline.training.feed import FedBatch
from pipeline.training.loop import loss_weights
from pipeline.training.optimizer import build_optimizer
from pipeline.training.params import TrainParams
from pipeline.training.step import BatchLoss, optimizer_step

REFERENCE, MEASURED = "ours", "regformer"
PASSES = ("training", "inference")


@dataclass(frozen=True)
class Problem:
    """An encoder, a dataset's section of params.yaml, and a batch.

    Attributes:
        visual: CLIP's visual encoder.
        images: of the batch.
        humans, proposals: per image; every human pairs with every other proposal.
    """

    dataset: str
    visual: VisualConfig
    images: int
    humans: int
    proposals: int

    def params(self, variant: str) -> Params:
        """The dataset's section with the row's changes."""
        return load_params(ROOT / "params.yaml", self.dataset, Run(variant))

    def model(self, variant: str) -> HoiModel:
        """With random weights."""
        torch.manual_seed(0)
        return random_model(self.visual.build(), self.params(variant)[ModelParams], vocabulary_of(self.dataset))

    def batch(self, *, with_proposals: bool) -> FedBatch:
        """Random bags, paired."""
        side, vocabulary = self.params(REFERENCE)[ModelParams].image_size, vocabulary_of(self.dataset)
        torch.manual_seed(1)
        categories = random_categories(vocabulary, self.images, humans=self.humans, things=self.proposals - self.humans)
        bags = random_bags(torch.randn(self.images, 3, side, side), vocabulary, categories)
        bags = bags if with_proposals else without_proposals(bags)
        return FedBatch(bags, PairRule.of(vocabulary).pair(bags), tuple(range(self.images)))

    def training(self, variant: str) -> Callable[[], object]:
        """Whole steps: forward, losses, backward, clipping, update."""
        model, train = self.model(variant), self.params(variant)[TrainParams]
        freeze_batch_norm(model.network.train())
        optimizer = build_optimizer(model.network, train)
        names = model.method.loss_names
        losses = model.method.losses(LabeledClasses(vocabulary_of(self.dataset)))
        batch_loss = BatchLoss(model.network, losses, loss_weights(names, train), "float32")
        batch = self.batch(with_proposals=model.method.needs_proposals)
        return lambda: optimizer_step(batch_loss, optimizer, [batch], ALONE, gradient_clip=train.gradient_clip)

    def inference(self, variant: str) -> Callable[[], object]:
        """The network over all pairs."""
        network, batch = self.model(variant).network.eval(), self.batch(with_proposals=True)

        def run() -> object:
            with torch.inference_mode():
                return network(batch.bags, batch.pairs)

        return run


SIZES = {
    "rn50": Problem("hicodet", ENCODERS["rn50"], images=4, humans=6, proposals=30),
    "toyworld": Problem("toyworld", VisualConfig((1, 1, 1, 1), 8, 4, 24, 64), images=2, humans=2, proposals=4),
}


def without_proposals(bags: BagBatch) -> BagBatch:
    """The same images and labels."""
    rows = ("boxes", "scores", "object_ids", "class_probabilities", "pair_labels")
    nothing = {name: getattr(bags, name)[:0] for name in rows}
    return dataclasses.replace(bags, proposal_offsets=torch.zeros_like(bags.proposal_offsets), **nothing)


def prepare_memory(problem: Problem, work: str, variant: str, threads: int) -> Callable[[], object]:
    """The work of one row; a tiny one first loads what only first calls load."""
    torch.set_num_threads(threads)
    getattr(SIZES["toyworld"], work)(variant)()
    ready: Callable[[], object] = getattr(problem, work)(variant)
    return ready


def measure_pass(problem: Problem, work: str, rates: MachineRates, runs: int) -> dict[str, Any]:
    """Seconds and peak memory of one image in both rows, side by side."""
    reference, measured = (getattr(problem, work)(variant) for variant in (REFERENCE, MEASURED))
    with FlopCounterMode(display=False) as counter:
        measured()
    pair = measure_pairs(reference, measured, runs)
    floor = rates.floor_seconds(counter.get_total_flops(), 0)
    del reference, measured
    peaks = {
        variant: peak_resident_bytes(prepare_memory, problem, work, variant, torch.get_num_threads())
        for variant in (REFERENCE, MEASURED)
    }
    figures = pair.to_json()
    return {
        "ratio": figures["ratio"],
        "floor_ratio": min(pair.ours) / floor,
        "seconds_per_image": {
            REFERENCE: figures["reference_seconds"] / problem.images,
            MEASURED: figures["seconds"] / problem.images,
        },
        "paired_runs": runs,
        "memory_ratio": peaks[MEASURED] / max(1, peaks[REFERENCE]),
        "peak_bytes_per_image": {variant: peak / problem.images for variant, peak in peaks.items()},
    }


@click.command(help=__doc__)
@json_option
@click.option("--size", type=click.Choice(list(SIZES)), default="rn50", show_default=True)
@click.option("--images", type=click.IntRange(1), help="Of a batch; default: 4 at rn50, 2 at toyworld.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Paired runs.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
def command(output: Path | None, size: str, images: int | None, runs: int, threads: int) -> None:
    """Measure, print a table, write the figures."""
    torch.set_num_threads(threads)
    problem = SIZES[size] if images is None else dataclasses.replace(SIZES[size], images=images)
    machine, rates = describe_machine(), machine_rates()
    found = {work: measure_pass(problem, work, rates, runs) for work in PASSES}
    for work, figures in found.items():
        print(_line(work, figures))
    pairs = problem.humans * (problem.proposals - 1)
    measured = (
        f"{REFERENCE} and {MEASURED} at {size} sizes, {problem.images} images of {problem.proposals} proposals and "
        f"{pairs} pairs, float32; {MEASURED} trains without proposals; floor: matrix products and convolutions"
    )
    first = found[PASSES[0]]
    summary = {name: first[name] for name in ("ratio", "floor_ratio", "memory_ratio")}
    write_report({"measured": measured, **summary, **found, "rates": rates.to_json(), "machine": machine}, output)


def _line(work: str, figures: dict[str, Any]) -> str:
    seconds, peaks = figures["seconds_per_image"], figures["peak_bytes_per_image"]
    return (
        f"{work}: an image {seconds[REFERENCE]:.3f} s in {REFERENCE}, {seconds[MEASURED]:.3f} s in {MEASURED}: "
        f"{figures['ratio']:.2f} x; {peaks[REFERENCE] / 2**20:.0f} and {peaks[MEASURED] / 2**20:.0f} MiB: "
        f"{figures['memory_ratio']:.0%}; {figures['floor_ratio']:.1f} x above its floor"
    )


if __name__ == "__main__":
    command()
