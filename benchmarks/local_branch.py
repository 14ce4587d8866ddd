"""How long a training step's local branch takes against a straightforward version, per image and per pair.

    python -m benchmarks.local_branch [--size toyworld|rn50] [--pooling absorbed|clip] [--json result.json]

The branch is pairing, spatial encoding, RoI pooling, knowledge transfer, heads, MIL maximum, pseudo labels and losses,
forward and backward, from given feature maps. `ratio` is the time of benchmarks/per_pair.py over ours, the median of
paired runs; `floor_ratio` is our time over that of our matrix products at this machine's rate of matrix products. The
straightforward version pools with the same operator as we do, one region at a time (`--pooling absorbed`), so that the
ratio is that of batching and sharing alone, or with CLIP's over torchvision's (`clip`). Logits, losses and gradients of
both are compared before anything is timed. The bar: 5 times, at 24 images of 64 pairs.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import per_pair
from benchmarks.measure import ROOT, describe_machine, json_option, machine_rates, measure_pairs, write_report
from benchmarks.synthetic_bags import random_bags, random_categories, random_model, vocabulary_of
from pipeline.backbones.clip_resnet import VisualConfig
from pipeline.config.params import Params, load_params
from pipeline.config.run import Run
from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.base import BatchCounts
from pipeline.methods.bilevel.losses import BilevelLosses
from pipeline.methods.bilevel.network import BilevelNetwork
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import HoiModel, ModelChoice
from pipeline.methods.pairing import PairRule
from pipeline.methods.params import ModelParams

BAR = 5.0
TOLERANCE = 1e-6  # in double precision: in single, rounding decides which of two near pairs is the maximum
_LOCAL = "ours+model.bilevel.hoi_recognition=false+model.bilevel.dropout=0"  # the local branch alone
_HUMANS = 4  # per image, where the number of pairs allows it


@dataclass(frozen=True)
class Size:
    """A dataset's section of params.yaml with an encoder; its trunk is not run, so its depth does not matter."""

    dataset: str
    visual: VisualConfig


SIZES = {
    "toyworld": Size("toyworld", VisualConfig((1, 1, 1, 1), 16, 8, 96, 128)),
    "rn50": Size("hicodet", VisualConfig((1, 1, 1, 1), 64, 32, 1024, 224)),
}


@dataclass(frozen=True)
class Problem:
    """A network whose trunk passes feature maps on, its losses, and a batch whose images are feature maps."""

    network: BilevelNetwork
    losses: BilevelLosses
    vocabulary: Vocabulary
    batch: BagBatch

    @classmethod
    def random(cls, size: Size, *, num_images: int, num_pairs: int, seed: int) -> Problem:
        """Random weights, maps, boxes and labels; every image has `num_pairs` pairs."""
        torch.manual_seed(seed)
        params, vocabulary = (
            load_params(ROOT / "params.yaml", size.dataset, Run.parse(_LOCAL)),
            vocabulary_of(size.dataset),
        )
        model = random_model(size.visual.build(), params[ModelParams], vocabulary)
        batch = _random_batch(size, params, vocabulary, num_images=num_images, num_pairs=num_pairs)
        return cls.of(model, vocabulary, batch)

    @classmethod
    def of(cls, model: HoiModel, vocabulary: Vocabulary, batch: BagBatch) -> Problem:
        """Of the paper's method on CLIP's encoder, whose trunk is taken away."""
        network, losses = model.network, model.method.losses(LabeledClasses(vocabulary))
        assert isinstance(network, BilevelNetwork) and isinstance(losses, BilevelLosses)
        network.backbone.trunk = nn.Sequential()
        return cls(network, losses, vocabulary, batch)

    def in_double(self) -> Problem:
        """A copy in double precision."""
        values = {item.name: getattr(self.batch, item.name) for item in dataclasses.fields(self.batch)}
        double = {name: value.detach().double() for name, value in values.items() if value.is_floating_point()}
        double["images"].requires_grad_()
        network, losses = copy.deepcopy(self.network).double(), copy.deepcopy(self.losses).double()
        return Problem(network, losses, self.vocabulary, BagBatch(**{**values, **double}))

    def ours(self) -> per_pair.LocalBranch:
        """The whole batch in one ragged pass."""
        pairs = PairRule.of(self.vocabulary).pair(self.batch)
        outputs = self.network(self.batch, pairs)
        counts = BatchCounts(len(self.batch), len(pairs.bags), int(self.batch.labels.sum()))
        terms = self.losses(outputs, self.batch, pairs, counts)
        return per_pair.LocalBranch(
            outputs["interaction_logits"], outputs["relatedness_logits"], terms["pair"], terms["relatedness"]
        )

    def straightforward(self, pooling: str) -> per_pair.LocalBranch:
        """Image by image, pair by pair."""
        return per_pair.local_branch(
            self.network,
            self.batch.images,
            self.batch,
            vocabulary=self.vocabulary,
            top_k=self.losses.params.top_k,
            pooling=per_pair.POOLINGS[pooling],
        )

    def step(self, pooling: str | None) -> tuple[per_pair.LocalBranch, list[Tensor]]:
        """Forward and backward; ours where `pooling` is None. Returns the gradients of the maps and of the weights."""
        self.network.zero_grad()
        self.batch.images.grad = None
        result = self.ours() if pooling is None else self.straightforward(pooling)
        (result.pair_loss + result.relatedness_loss).backward()
        leaves = [self.batch.images, *self.network.parameters()]
        return result, [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]


def _random_batch(size: Size, params: Params, vocabulary: Vocabulary, *, num_images: int, num_pairs: int) -> BagBatch:
    """Bags with this many pairs an image, and feature maps for images."""
    human, pairable = vocabulary.human_object_id, set(vocabulary.hoi_object_ids.tolist())
    humans = _HUMANS if num_pairs % _HUMANS == 0 and num_pairs >= _HUMANS**2 else 1
    things = num_pairs // humans - (humans - 1 if human in pairable else 0)
    cells = params[ModelParams].image_size // ModelChoice.of(params[ModelParams]).backbone_settings.last_stride
    features = torch.randn(num_images, size.visual.width * 32, cells, cells, requires_grad=True)
    return random_bags(features, vocabulary, random_categories(vocabulary, num_images, humans=humans, things=things))


def largest_difference(problem: Problem, pooling: str) -> float:
    """Of logits, losses and gradients in double precision, each relative to its largest value.

    Raises:
        click.ClickException: it is more than 1e-6.
    """
    torch.set_default_dtype(torch.float64)
    try:
        precise = problem.in_double()
        ours, our_gradients = precise.step(None)
        our_gradients = [gradient.clone() for gradient in our_gradients]
        theirs, their_gradients = precise.step(pooling)
    finally:
        torch.set_default_dtype(torch.float32)
    values = [(getattr(ours, item.name), getattr(theirs, item.name)) for item in dataclasses.fields(ours)]
    values += zip(our_gradients, their_gradients, strict=True)
    worst = max(float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1e-3)) for a, b in values)
    if worst > TOLERANCE:
        raise click.ClickException(f"the straightforward version differs by {worst:.1e} > {TOLERANCE}; nothing timed")
    return worst


def measure(problem: Problem, pooling: str, runs: int) -> dict[str, Any]:
    """Compare, then time both in turns."""
    difference = largest_difference(problem, pooling)
    with FlopCounterMode(display=False) as counter:
        problem.step(None)
    rates = machine_rates()
    pair = measure_pairs(lambda: problem.step(pooling), lambda: problem.step(None), runs)
    floor = rates.floor_seconds(counter.get_total_flops(), 0)
    return {
        **pair.to_json(),
        "floor_ratio": min(pair.ours) / floor,
        "floor_seconds": floor,
        "gflops": counter.get_total_flops() / 1e9,
        "largest_difference": difference,
        "rates": rates.to_json(),
    }


@click.command(help=__doc__)
@json_option
@click.option("--size", type=click.Choice(list(SIZES)), default="toyworld", show_default=True)
@click.option("--pooling", type=click.Choice(list(per_pair.POOLINGS)), default="absorbed", show_default=True)
@click.option("--images", type=click.IntRange(1), default=24, show_default=True)
@click.option("--pairs", type=click.IntRange(1), default=64, show_default=True, help="Per image.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Paired runs.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def command(
    output: Path | None, size: str, pooling: str, images: int, pairs: int, runs: int, threads: int, seed: int
) -> None:
    """Measure, print a table, write the figures."""
    torch.set_num_threads(threads)
    machine = describe_machine()
    problem = Problem.random(SIZES[size], num_images=images, num_pairs=pairs, seed=seed)
    figures = measure(problem, pooling, runs)
    print(
        f"{images} images x {pairs} pairs, {size} sizes: {figures['seconds']:.3f} s, per pair with {pooling} pooling "
        f"{figures['reference_seconds']:.3f} s: {figures['ratio']:.1f} x; "
        f"floor {figures['floor_seconds']:.3f} s, {figures['floor_ratio']:.1f} x above it"
    )
    print(f"largest relative difference of logits, losses and gradients: {figures['largest_difference']:.1e}")
    print(f"bar: {BAR} x")
    measured = (
        f"local branch of a training step, forward + backward, {images} images x {pairs} pairs, {size} sizes: "
        f"per image and per pair with {pooling} pooling over one ragged pass; floor: our matrix products"
    )
    write_report({"measured": measured, **figures, "bar": BAR, "seed": seed, "machine": machine}, output)


if __name__ == "__main__":
    command()
