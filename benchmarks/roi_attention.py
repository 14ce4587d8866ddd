"""How long RoI attention pooling takes against CLIP's `AttentionPool2d(torchvision.ops.roi_align(...))`.

    python -m benchmarks.roi_attention [--json result.json]

`ratio` is the reference's time over ours, forward and backward, the median of paired runs (`forward` has that of the
forward pass alone); `floor_ratio` is our time over the roofline's: the operations of the absorbed pool and of the
interpolation over this machine's rate of matrix products, or the bytes of map, tokens and weights over its rate of
copies. `memory_ratio` is our peak memory over the reference's, of forward and backward. The outputs and gradients of
both are compared before anything is timed. The bar: forward 4 times, both passes 5 times, memory 0.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from torchvision.ops import roi_align

from benchmarks.measure import (
    MachineRates,
    describe_machine,
    json_option,
    machine_rates,
    measure_pairs,
    peak_resident_bytes,
    write_report,
)
from pipeline.backbones.attention_pooling import attention_pool
from pipeline.backbones.roi_tokens import roi_tokens
from pipeline.store.openai_clip import AttentionPool2d

FORWARD_BAR, BOTH_BAR, MEMORY_BAR = 4.0, 5.0, 0.6
TOLERANCE = 1e-4
SAMPLING_RATIO = 2
_OPERATORS = ("ours", "reference")


@dataclass(frozen=True)
class Sizes:
    """RN50's by default: its map at 400 x 400 pixels and stride 16, its pool of 7 x 7 tokens and 32 heads."""

    rois: int = 128
    channels: int = 2048
    side: int = 25  # cells of the map
    bins: int = 7
    heads: int = 32
    width: int = 1024  # of the embeddings

    @property
    def tokens(self) -> int:
        """Tokens of one RoI."""
        return self.bins**2

    def forward_flops(self) -> tuple[int, int]:
        """Multiplications and additions of the absorbed pool, and of the interpolation."""
        projections = 3 * self.channels**2 + self.channels * self.width  # query, absorbed key, value, output
        attention = 2 * self.heads * (self.tokens + 1) * self.channels  # logits and weighted sum
        entries = (2 * SAMPLING_RATIO) ** 2  # cells that one token reads
        return 2 * self.rois * (projections + attention), 2 * self.rois * self.tokens * entries * self.channels

    def forward_bytes(self) -> int:
        """Float32 values moved once each: map read, tokens written and read, weights read."""
        cells, tokens = self.side**2 * self.channels, self.rois * self.tokens * self.channels
        return 4 * (cells + 2 * tokens + 3 * self.channels**2 + self.channels * self.width)

    def floor_seconds(self, rates: MachineRates) -> dict[str, float]:
        """Of the forward pass, and of both: a product's backward pass is two products, the interpolation's is one."""
        pool, interpolation = self.forward_flops()
        moved = self.forward_bytes()
        return {
            "forward": rates.floor_seconds(pool + interpolation, moved),
            "both": rates.floor_seconds(3 * pool + 2 * interpolation, 2 * moved),
        }


@dataclass(frozen=True)
class Problem:
    """A pool with random weights and RoIs of all shapes over one map."""

    sizes: Sizes
    pool: AttentionPool2d
    features: Tensor  # [1, C, S, S]
    boxes: Tensor  # [R, 4] in cells

    @classmethod
    def random(cls, sizes: Sizes, seed: int) -> Problem:
        """RoIs from two cells wide to the whole map."""
        torch.manual_seed(seed)
        pool = AttentionPool2d(sizes.bins, sizes.channels, sizes.heads, sizes.width)
        corner = torch.rand(sizes.rois, 2) * (sizes.side - 2)
        extent = 2 + torch.rand(sizes.rois, 2) * (sizes.side - 2 - corner)
        features = torch.randn(1, sizes.channels, sizes.side, sizes.side)
        return cls(sizes, pool, features, torch.cat([corner, corner + extent], 1))

    def ours(self, features: Tensor) -> Tensor:
        """Embeddings [R, D] of our operator."""
        bins, image = self.sizes.bins, torch.zeros(self.sizes.rois, dtype=torch.int64)
        tokens = roi_tokens(features, self.boxes, image, roi_size=bins, sampling_ratio=SAMPLING_RATIO)
        return attention_pool(self.pool, tokens, (bins, bins))

    def reference(self, features: Tensor) -> Tensor:
        """Embeddings [R, D] of CLIP's pool over torchvision's RoIAlign."""
        rois = torch.cat([torch.zeros(self.sizes.rois, 1), self.boxes], 1)
        regions = roi_align(features, rois, output_size=self.sizes.bins, sampling_ratio=SAMPLING_RATIO, aligned=True)
        embeddings: Tensor = self.pool(regions)
        return embeddings

    def forward(self, operator: Callable[[Tensor], Tensor]) -> Tensor:
        """Run one of both without gradients."""
        with torch.no_grad():
            return operator(self.features)

    def both(self, operator: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Run forward and backward: the output, then the gradients of the map and of every parameter."""
        leaf = self.features.clone().requires_grad_()
        self.pool.zero_grad()
        output = operator(leaf)
        weights = torch.linspace(-1, 1, output.numel()).view_as(output)  # no two gradients alike
        (output * weights).sum().backward()
        leaves = (leaf, *self.pool.parameters())  # no gradient reaches the key's bias: it cancels in the softmax
        return [output.detach(), *(torch.zeros_like(x) if x.grad is None else x.grad for x in leaves)]


def largest_difference(problem: Problem) -> float:
    """Between ours and the reference, over output and gradients, each relative to its largest value if that is over 1.

    Raises:
        click.ClickException: it is more than 1e-4.
    """
    ours, reference = problem.both(problem.ours), problem.both(problem.reference)
    worst = max(
        float((mine - theirs).abs().max() / theirs.abs().max().clamp(min=1))
        for mine, theirs in zip(ours, reference, strict=True)
    )
    if worst > TOLERANCE:
        raise click.ClickException(f"outputs or gradients differ from the reference's by {worst:.1e} > {TOLERANCE}")
    return worst


def prepare_memory(name: str, sizes: Sizes, threads: int) -> Callable[[], object]:
    """Forward and backward of `ours` or `reference`; a small one first loads what only first calls load."""
    torch.set_num_threads(threads)
    warm_up = Problem.random(Sizes(rois=2, channels=64, side=5, bins=2, heads=2, width=32), 0)
    warm_up.both(getattr(warm_up, name))
    problem = Problem.random(sizes, 0)
    return lambda: problem.both(getattr(problem, name))


def measure(sizes: Sizes, runs: int, seed: int) -> dict[str, Any]:
    """Compare, then time both passes and the forward pass, then weigh them."""
    problem = Problem.random(sizes, seed)
    difference = largest_difference(problem)
    rates = machine_rates()
    floors = sizes.floor_seconds(rates)
    passes = {"forward": problem.forward, "both": problem.both}
    figures = {}
    for name, run in passes.items():
        pair = measure_pairs(lambda run=run: run(problem.reference), lambda run=run: run(problem.ours), runs)  # type: ignore[misc]
        figures[name] = pair.to_json() | {
            "floor_seconds": floors[name],
            "floor_ratio": min(pair.ours) / floors[name],
        }
    peaks = {name: peak_resident_bytes(prepare_memory, name, sizes, torch.get_num_threads()) for name in _OPERATORS}
    if not min(peaks.values()):
        raise click.ClickException(
            "the tensors are too small to weigh: they fit into pages that the process has; use more"
        )
    return {
        "ratio": figures["both"]["ratio"],
        "floor_ratio": figures["both"]["floor_ratio"],
        **figures,
        "memory_ratio": peaks["ours"] / peaks["reference"],
        "peak_bytes": peaks,
        "largest_difference": difference,
        "rates": rates.to_json(),
    }


@click.command(help=__doc__)
@json_option
@click.option("--rois", type=click.IntRange(1), default=Sizes.rois, show_default=True)
@click.option("--channels", type=click.IntRange(1), default=Sizes.channels, show_default=True, help="A multiple of 32.")
@click.option("--side", type=click.IntRange(3), default=Sizes.side, show_default=True, help="Cells of the map.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Paired runs.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def command(output: Path | None, rois: int, channels: int, side: int, runs: int, threads: int, seed: int) -> None:
    """Measure, print a table, write the figures."""
    if channels % Sizes.heads:
        raise click.BadParameter(f"{channels} is not a multiple of the {Sizes.heads} heads", param_hint="--channels")
    torch.set_num_threads(threads)
    sizes = Sizes(rois=rois, channels=channels, side=side)
    machine = describe_machine()
    figures = measure(sizes, runs, seed)
    print_figures(figures)
    bars = {"forward_bar": FORWARD_BAR, "both_bar": BOTH_BAR, "memory_bar": MEMORY_BAR}
    measured = (
        f"{rois} RoIs of a {side} x {side} x {channels} map, {sizes.bins} x {sizes.bins} bins, sampling ratio "
        f"{SAMPLING_RATIO}, aligned: AttentionPool2d(roi_align(...)) over ours, forward + backward"
    )
    write_report({"measured": measured, **figures, **bars, "seed": seed, "machine": machine}, output)


def print_figures(figures: dict[str, Any]) -> None:
    """One row for each pass, then memory and agreement."""
    for name, title in (("forward", "forward"), ("both", "forward + backward")):
        row = figures[name]
        print(
            f"{title:18} {row['seconds']:.3f} s, reference {row['reference_seconds']:.3f} s: {row['ratio']:.1f} x; "
            f"floor {row['floor_seconds']:.3f} s, {row['floor_ratio']:.1f} x above it"
        )
    ours, reference = (figures["peak_bytes"][name] / 2**20 for name in _OPERATORS)
    print(f"peak memory        {ours:.0f} MiB, reference {reference:.0f} MiB: {figures['memory_ratio']:.0%}")
    print(f"largest difference of outputs and gradients: {figures['largest_difference']:.1e}")
    print(f"bar: forward {FORWARD_BAR} x, forward + backward {BOTH_BAR} x, memory {MEMORY_BAR:.0%}")


if __name__ == "__main__":
    command()
