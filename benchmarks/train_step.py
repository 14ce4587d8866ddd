"""A whole training step of the paper's method against what one writes first with the libraries: time and peak memory.

    python -m benchmarks.train_step [--pool one_query|package] [--json result.json]

Forward and backward of `ours`, RN50 trained as in params.yaml: hicodet, all losses, float32, on the CPU, random weights
and images. The reference is benchmarks/plain_step.py: batched `roi_align`, CLIP's `AttentionPool2d` on the crops, loops
over images in the interaction head. `--pool` says which of CLIP's pools: that of its repository, or that of the package
openai-clip, which does twice the work. Losses and gradients of both are compared before anything is timed. A second row
leaves out the encoder's convolutions, the same in both: both start from the feature map. A third has our step with a
frozen encoder, from images and from stored features (in memory; benchmarks/frozen_features.py reads them from disk).

`ratio` is the reference's CPU time over ours, the median of paired runs; `memory_ratio` is our peak memory over the
reference's, each in a process of its own; `floor_ratio` is our time over that of our matrix products and convolutions,
counted by PyTorch, at this machine's rate of matrix products. `shares` says what our step spends its time in. The bar:
3 times, memory 0.5.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_step import ENCODERS
from benchmarks.measure import (
    ROOT,
    cpu_seconds_of,
    describe_machine,
    json_option,
    machine_rates,
    measure_pairs,
    peak_resident_bytes,
    write_report,
)
from benchmarks.plain_step import POOLS, PlainStep, plain_norms, with_pool
from benchmarks.synthetic_bags import fit_norms, random_bags, random_categories, random_model, vocabulary_of
from pipeline.backbones.base import freeze_batch_norm
from pipeline.backbones.clip_resnet import VisualConfig
from pipeline.config.params import Params, load_params
from pipeline.config.run import Run
from pipeline.core.bags import BagBatch
from pipeline.core.device import open_device
from pipeline.methods.base import BatchCounts
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import HoiModel
from pipeline.methods.pairing import PairRule
from pipeline.methods.params import ModelParams

BAR, MEMORY_BAR = 3.0, 0.5
TOLERANCE = 1e-3  # in single precision, of a gradient's length
_FROZEN = "+model.clip_resnet.trained=pool"
_CANCELS = "backbone.attnpool.k_proj.bias"  # in the softmax: its gradient is rounding
_TERMS = {  # by what the names of PyTorch's operators hold; the first that fits
    "convolutions": ("conv",),
    "batch norms": ("batch_norm",),
    "interpolation of regions": ("embedding_bag",),
    "batched products (attention pooling)": ("bmm",),
    "matrix products (layers, bank)": ("::mm", "addmm"),
    "activations, pooling of maps": ("threshold", "clamp", "avg_pool", "softmax"),
    "sums, products, copies": ("::add", "::mul", "::div", "::sum", "::copy", "::cat", "::fill", "::mean"),
}


@dataclass(frozen=True)
class Problem:
    """What a step takes.

    Attributes:
        dataset: section of params.yaml.
        visual: CLIP's visual encoder.
        images: of the batch.
        humans, proposals: per image; every human pairs with every other proposal.
        pool: one of `POOLS`, the reference's.
    """

    dataset: str
    visual: VisualConfig
    images: int
    humans: int
    proposals: int
    pool: str = "one_query"

    @property
    def pairs(self) -> int:
        """Per image."""
        return self.humans * (self.proposals - 1)

    def params(self, row: str = "ours") -> Params:
        """The dataset's section with the row's changes."""
        return load_params(ROOT / "params.yaml", self.dataset, Run.parse(row))

    def batch(self) -> BagBatch:
        """Random bags."""
        side, vocabulary = self.params()[ModelParams].image_size, vocabulary_of(self.dataset)
        torch.manual_seed(1)
        categories = random_categories(vocabulary, self.images, humans=self.humans, things=self.proposals - self.humans)
        return random_bags(torch.randn(self.images, 3, side, side), vocabulary, categories)

    def model(self, row: str = "ours") -> HoiModel:
        """Random weights, whose norms fit the images; always the same."""
        torch.manual_seed(0)
        model = random_model(self.visual.build(), self.params(row)[ModelParams], vocabulary_of(self.dataset))
        fit_norms(model.network.backbone, self.batch().images)
        return model


class Ways:
    """Forward and backward of one batch, each way over weights and images of its own.

    Args:
        encoder: run it; else both start from the feature map, whose gradient is computed too.
    """

    def __init__(self, problem: Problem, *, encoder: bool) -> None:
        self.problem, self.encoder = problem, encoder

    def reference(self) -> _Work:
        """The plain way."""
        problem, model, batch = self.problem, *self._start("ours")
        network: Any = model.network.train()
        plain_norms(network)
        top_k = model.method.params.top_k
        step = PlainStep(with_pool(network, problem.pool), vocabulary_of(problem.dataset), top_k)
        return _Work(network, batch, lambda: step.losses(batch))

    def ours(self) -> _Work:
        """The pipeline's."""
        return self._pipeline(*self._start("ours"))

    def frozen(self) -> _Work:
        """The pipeline's with a frozen encoder, from images."""
        return self._pipeline(*self._start("ours" + _FROZEN))

    def stored(self) -> _Work:
        """The same from stored features, float16."""
        model, batch = self._start("ours" + _FROZEN)
        backbone = model.network.backbone
        backbone.stored_shapes = backbone.fixed_shapes(batch.images.shape[2])
        with torch.no_grad():
            features = backbone(batch.images).half().flatten(1)[:, None]
        batch = dataclasses.replace(batch, features=features, images=batch.images[:, :, :0, :0].clone())
        return self._pipeline(model, batch)

    def _start(self, row: str) -> tuple[HoiModel, BagBatch]:
        model, batch = self.problem.model(row), self.problem.batch()
        if not self.encoder:
            backbone: Any = model.network.backbone.eval()
            with torch.no_grad():
                features = backbone.trunk(batch.images)
            backbone.trunk = nn.Sequential()
            batch = dataclasses.replace(batch, images=features.requires_grad_())
        return model, batch

    def _pipeline(self, model: HoiModel, batch: BagBatch) -> _Work:
        vocabulary, network = vocabulary_of(self.problem.dataset), model.network.train()
        freeze_batch_norm(network)
        losses, rule = model.method.losses(LabeledClasses(vocabulary)), PairRule.of(vocabulary)

        def terms() -> dict[str, Tensor]:
            pairs = rule.pair(batch)
            counts = BatchCounts(len(batch), len(pairs.bags), int(batch.labels.sum()))
            return losses(network(batch, pairs), batch, pairs, counts)

        return _Work(network, batch, terms)


@dataclass(frozen=True)
class _Work:
    network: nn.Module
    batch: BagBatch
    losses: Callable[[], dict[str, Tensor]]

    def __call__(self) -> dict[str, Tensor]:
        """Forward and backward; returns the losses, and leaves the gradients in the weights."""
        self.network.zero_grad()
        self.batch.images.grad = None
        terms = self.losses()
        torch.stack(list(terms.values())).sum().backward()
        return {name: term.detach() for name, term in terms.items()}

    def gradients(self) -> dict[str, Tensor]:
        """Of all weights, and of the feature map where the step starts from it."""
        leaves = dict(self.network.named_parameters()) | {"images": self.batch.images}
        return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def largest_difference(mine: dict[str, Tensor], ours: _Work, theirs: dict[str, Tensor], reference: _Work) -> float:
    """Of losses, relative, and of gradients, the length of the difference over that of the reference's.

    Raises:
        click.ClickException: it is more than 1e-3.
    """
    differences = {name: float((mine[name] - term).abs() / term.abs()) for name, term in theirs.items()}
    found, expected = ours.gradients(), reference.gradients()
    for name in (found.keys() | expected.keys()) - {_CANCELS}:
        first, second = (of.get(name, torch.zeros(())) for of in (found, expected))
        differences[name] = float((first - second).norm() / second.norm().clamp(min=1e-12))
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= TOLERANCE:
        raise click.ClickException(f"{worst} differs by {differences[worst]:.1e} > {TOLERANCE}; nothing timed")
    return differences[worst]


def prepare_memory(problem: Problem, way: str, encoder: bool, threads: int) -> Callable[[], object]:
    """One step; a tiny one first loads what only first calls load."""
    torch.set_num_threads(threads)
    open_device("cpu")
    getattr(Ways(dataclasses.replace(SIZES["toyworld"], pool=problem.pool), encoder=encoder), way)()()
    work: Callable[[], object] = getattr(Ways(problem, encoder=encoder), way)()
    return work


def rows_of(problem: Problem) -> dict[str, tuple[Ways, str, str]]:
    """What is compared: ways, and the names of the reference's and of the measured one."""
    whole = Ways(problem, encoder=True)
    return {
        "whole step": (whole, "reference", "ours"),
        "without the encoder": (Ways(problem, encoder=False), "reference", "ours"),
        "frozen encoder, from stored features over from images": (whole, "frozen", "stored"),
    }


def measure_row(ways: Ways, reference: str, measured: str, *, runs: int, flops_rate: float) -> dict[str, Any]:
    """Compare where both start from the same, time in turns, weigh."""
    theirs, mine = getattr(ways, reference)(), getattr(ways, measured)()
    with FlopCounterMode(display=False) as counter:
        losses = mine()
    found = {"largest_difference": largest_difference(losses, mine, theirs(), theirs)} if measured == "ours" else {}
    floor = counter.get_total_flops() / flops_rate
    pair = measure_pairs(theirs, mine, runs, cpu_seconds_of, warm_up=False)
    shares = step_shares(mine)
    del theirs, mine
    peaks = [
        peak_resident_bytes(prepare_memory, ways.problem, way, ways.encoder, torch.get_num_threads())
        for way in (reference, measured)
    ]
    return {
        **pair.to_json(),
        **found,
        "floor_ratio": statistics.median(pair.ours) / floor,
        "memory_ratio": peaks[1] / max(1, peaks[0]),
        "peak_mib": [peak / 2**20 for peak in peaks],
        "shares": shares,
    }


def step_shares(work: Callable[[], object]) -> dict[str, float]:
    """Shares of one step's time by kinds of operators, the largest first."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    seconds: dict[str, float] = {}
    for event in profiler.key_averages():
        kinds = (kind for kind, parts in _TERMS.items() if any(part in event.key for part in parts))
        kind = next(kinds, "everything else")
        seconds[kind] = seconds.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(seconds.values())
    return {kind: seconds[kind] / total for kind in sorted(seconds, key=lambda kind: -seconds[kind])}


SIZES = {
    "rn50": Problem("hicodet", ENCODERS["rn50"], images=4, humans=6, proposals=20),
    "toyworld": Problem("toyworld", VisualConfig((1, 1, 1, 1), 16, 8, 96, 128), images=2, humans=2, proposals=4),
}


@click.command(help=__doc__)
@json_option
@click.option("--size", type=click.Choice(list(SIZES)), default="rn50", show_default=True)
@click.option("--pool", type=click.Choice(list(POOLS)), default="one_query", show_default=True, help="The reference's.")
@click.option("--images", type=click.IntRange(1), help="Of a batch; default: 4 at rn50, 2 at toyworld.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Paired runs.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def command(output: Path | None, size: str, pool: str, images: int | None, runs: int, threads: int) -> None:
    """Measure, print a table, write the figures."""
    torch.set_num_threads(threads)
    open_device("cpu")
    machine, rates, problem = describe_machine(), machine_rates(), dataclasses.replace(SIZES[size], pool=pool)
    problem = problem if images is None else dataclasses.replace(problem, images=images)
    found = {}
    for title, (ways, *names) in rows_of(problem).items():
        found[title] = row = measure_row(ways, *names, runs=runs, flops_rate=rates.flops)
        print(_line(title, row), flush=True)
    print(f"bar: {BAR} x, memory {MEMORY_BAR:.0%}, of the whole step")
    measured = (
        f"forward and backward of ours at {size} sizes, {problem.images} images of {problem.proposals} proposals and "
        f"{problem.pairs} pairs, float32; reference: roi_align, CLIP's pool ({pool}), loops over images"
    )
    first = next(iter(found.values()))
    summary = {name: first[name] for name in ("ratio", "floor_ratio", "memory_ratio")}
    bars = {"bar": BAR, "memory_bar": MEMORY_BAR}
    report = {"measured": measured, **summary, "rows": found, **bars, "rates": rates.to_json(), "machine": machine}
    write_report(report, output)


def _line(title: str, row: dict[str, Any]) -> str:
    reference, ours = row["peak_mib"]
    differs = f"; differ by {row['largest_difference']:.1e}" if "largest_difference" in row else ""
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in row["shares"].items() if share >= 0.01)
    return (
        f"{title}: {row['seconds']:.2f} s of CPU, reference {row['reference_seconds']:.2f} s: {row['ratio']:.2f} x; "
        f"{ours:.0f} and {reference:.0f} MiB: {row['memory_ratio']:.0%}; {row['floor_ratio']:.1f} x above its floor"
        f"{differs}\n  {shares}"
    )


if __name__ == "__main__":
    command()
