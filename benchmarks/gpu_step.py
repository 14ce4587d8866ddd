"""Images per second of a whole training step on a GPU, and how near it comes to the GPU's peak.

    python -m benchmarks.gpu_step [--json result.json]

A step is that of training: forward, losses, backward, clipping, AdamW, with CLIP's RN50 and RN101 at random weights
and the sizes of params.yaml: hicodet; batches are synthetic and lie on the GPU, so that the loader plays no part
(benchmarks/loader.py). Ways to run it (params.yaml: execution) stand side by side at the paper's batch of 24, then the
fastest of them, and recomputation, at the largest batch that fits. `floor_ratio` is a step's time over that of its
matrix products and convolutions, counted by PyTorch, at the rate of a large matrix product measured in the same run:
its inverse is the fraction of the peak. `ratio` is the plain way's time over the fastest's, both of the first encoder
at that batch. Without a GPU it says so and measures nothing.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import ROOT, describe_machine, json_option, write_report
from benchmarks.synthetic_bags import random_bags, random_categories, random_model, vocabulary_of
from pipeline.backbones.base import freeze_batch_norm
from pipeline.backbones.clip_resnet import VisualConfig
from pipeline.backbones.clip_vit import ViTConfig
from pipeline.config.params import ExecutionParams, Params, load_params
from pipeline.config.run import Run
from pipeline.core.device import memory_format, open_device
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import HoiModel
from pipeline.methods.pairing import PairRule
from pipeline.methods.params import ModelParams
from pipeline.training.distributed import ALONE
from pipeline.training.feed import FedBatch
from pipeline.training.loop import loss_weights
from pipeline.training.optimizer import build_optimizer
from pipeline.training.params import TrainParams
from pipeline.training.step import BatchLoss, optimizer_step, place_network

PLAIN = dataclasses.replace(ExecutionParams(), channels_last=False)
WAYS = {
    "plain": PLAIN,
    "channels_last": dataclasses.replace(PLAIN, channels_last=True),
    "compile": dataclasses.replace(PLAIN, channels_last=True, compile=True),
    "checkpointing": dataclasses.replace(PLAIN, channels_last=True, gradient_checkpointing=True),
}
ENCODERS = {
    "rn50": VisualConfig((3, 4, 6, 3), 64, 32, 1024, 224),
    "rn101": VisualConfig((3, 4, 23, 3), 64, 32, 512, 224),
}
# Dense bfloat16 products with float32 sums, TFLOP/s, by what the device's name holds; the makers' data sheets.
NOMINAL = {
    "B200": 2250, "H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125,
    "RTX 4090": 165, "RTX 3090": 71,
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """What one step takes: an encoder's architecture, a dataset's sizes, and bags.

    Attributes:
        visual: CLIP's visual encoder.
        dataset: section of params.yaml.
        humans, proposals: per image; every human pairs with every other proposal.
        precision: of the network.
        matrix_side: of the product that measures the peak.
        variant: row of params.yaml.
    """

    visual: VisualConfig | ViTConfig
    dataset: str
    humans: int
    proposals: int
    precision: Literal["bfloat16", "float32"]
    matrix_side: int = 8192
    variant: str = "ours"

    @property
    def pairs(self) -> int:
        """Per image."""
        return self.humans * (self.proposals - 1)

    @property
    def params(self) -> Params:
        """The dataset's section."""
        return load_params(ROOT / "params.yaml", self.dataset, Run.parse(self.variant))

    def model(self) -> HoiModel:
        """With random weights, norms frozen."""
        torch.manual_seed(0)
        model = random_model(self.visual.build(), self.params[ModelParams], vocabulary_of(self.dataset))
        freeze_batch_norm(model.network.train())
        return model

    def parts(self, num_images: int, device: torch.device, way: ExecutionParams) -> list[FedBatch]:
        """The micro-batches of a batch."""
        size = way.micro_batch or num_images
        sizes = [min(size, num_images - low) for low in range(0, num_images, size)]
        whole = tuple(range(num_images))
        return [dataclasses.replace(self.batch(count, device, way), image_index=whole) for count in sizes]

    def batch(self, num_images: int, device: torch.device, way: ExecutionParams) -> FedBatch:
        """Random bags on the device, paired on the host."""
        side, vocabulary = self.params[ModelParams].image_size, vocabulary_of(self.dataset)
        categories = random_categories(vocabulary, num_images, humans=self.humans, things=self.proposals - self.humans)
        bags = random_bags(torch.randn(num_images, 3, side, side), vocabulary, categories)
        pairs, placed = PairRule.of(vocabulary).pair(bags), bags.to(device)
        images = placed.images.contiguous(memory_format=memory_format(device, channels_last=way.channels_last))
        return FedBatch(dataclasses.replace(placed, images=images), pairs.to(device), tuple(range(num_images)))

    def steps(self, num_images: int, device: torch.device, way: ExecutionParams) -> Callable[[], object]:
        """Training steps over one batch, as training takes them."""
        model, train = self.model(), dataclasses.replace(self.params[TrainParams], precision=self.precision)
        place_network(model.network, way, device, moving_norms=False)
        optimizer = build_optimizer(model.network, train)
        losses = model.method.losses(LabeledClasses(vocabulary_of(self.dataset))).to(device)
        weights = loss_weights(model.method.loss_names, train)
        batch_loss = BatchLoss(model.network, losses, weights, train.precision)
        parts = self.parts(num_images, device, way)
        return lambda: optimizer_step(batch_loss, optimizer, parts, ALONE, gradient_clip=train.gradient_clip)

    def flops(self, num_images: int, device: torch.device) -> int:
        """Of the matrix products and convolutions of one plain step, what a step has to compute."""
        step = self.steps(num_images, device, PLAIN)
        with FlopCounterMode(display=False) as counter:
            step()
        return int(counter.get_total_flops())


def synchronize(device: torch.device) -> None:
    """Wait for all that was queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_per_call(work: Callable[[], object], device: torch.device, *, warm_up: int, calls: int) -> float:
    """Mean seconds of calls that are queued without a wait between them."""
    for _ in range(warm_up):
        work()
    synchronize(device)
    start = time.perf_counter()
    for _ in range(calls):
        work()
    synchronize(device)
    return (time.perf_counter() - start) / calls


def matrix_rate(device: torch.device, side: int, precision: str) -> float:
    """FLOP/s of a square matrix product, the best of five times ten."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(left)
    best = min(
        seconds_per_call(lambda: torch.mm(left, right, out=product), device, warm_up=2, calls=10) for _ in range(5)
    )
    return 2 * side**3 / best


def nominal_rate(name: str) -> float | None:
    """FLOP/s that the device's maker states, None for a device that is not in the table."""
    known = next((rate for part, rate in NOMINAL.items() if part in name), None)
    return None if known is None else known * 1e12


def largest(fits: Callable[[int], bool], start: int, limit: int) -> int:
    """Largest batch up to `limit` that fits, to a sixteenth: doubled from `start`, which fits, then halved between."""
    low, high = start, start
    while high < limit and fits(min(2 * high, limit)):
        low = high = min(2 * high, limit)
    high = min(2 * low, limit)
    while high - low > max(1, low // 16):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def measure_way(
    problem: Problem, name: str, num_images: int, device: torch.device, *, calls: int, flops: int, rate: float
) -> dict[str, Any]:
    """Speed and peak memory of one way at one batch; `flops` of its step, `rate` of the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    seconds = seconds_per_call(problem.steps(num_images, device, WAYS[name]), device, warm_up=3, calls=calls)
    nominal = nominal_rate(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
    return {
        "batch": num_images,
        "gflops": flops / 1e9,
        "peak_tflops": rate / 1e12,
        "seconds": seconds,
        "images_per_second": num_images / seconds,
        "fraction_of_peak": flops / seconds / rate,
        "fraction_of_nominal_peak": None if nominal is None else flops / seconds / nominal,
        "gigabytes": torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None,
    }


def _fits(problem: Problem, way: ExecutionParams, num_images: int, device: torch.device) -> bool:
    """Two steps of this batch run: the second with the optimizer's moments there."""
    try:
        step = problem.steps(num_images, device, way)
        step(), step()
        synchronize(device)
    except torch.OutOfMemoryError:
        return False
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return True


def measure_encoder(
    problem: Problem, device: torch.device, *, batch: int, limit: int, calls: int, ways: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (way, figures): all ways at `batch`, then the fastest and recomputation at the largest that fits."""
    rate = matrix_rate(device, problem.matrix_side, problem.precision)
    per_image = problem.flops(batch, device) / batch
    found = {}
    for name in ways:
        flops = round(per_image * batch)
        found[name] = measure_way(problem, name, batch, device, calls=calls, flops=flops, rate=rate)
        yield name, found[name]
    fastest = min(ways, key=lambda name: found[name]["seconds"])
    for name in dict.fromkeys([fastest, *({"checkpointing"} & set(ways))]):
        size = largest(lambda images, name=name: _fits(problem, WAYS[name], images, device), batch, limit)  # type: ignore[misc]
        flops = round(per_image * size)
        yield f"{name}, largest batch", measure_way(problem, name, size, device, calls=calls, flops=flops, rate=rate)


def smoke(problem: Problem) -> Problem:
    """The same with sizes for a test on the CPU."""
    visual = VisualConfig((1, 1, 1, 1), 8, 4, 24, 64)
    return dataclasses.replace(
        problem, visual=visual, dataset="toyworld", humans=2, proposals=4, matrix_side=64, variant="ours"
    )


def summary(report: dict[str, Any], first: str) -> dict[str, float]:
    """`ratio` and `floor_ratio`: of the first encoder at the first batch."""
    rows = {name: row for name, row in report["encoders"][first].items() if "largest" not in name}
    fastest = min(rows.values(), key=lambda row: row["seconds"])
    reference = rows.get("plain", fastest)
    return {"ratio": reference["seconds"] / fastest["seconds"], "floor_ratio": 1 / fastest["fraction_of_peak"]}


@click.command(help=__doc__)
@json_option
@click.option("--device", default="cuda", show_default=True, help="cuda, cuda:N, or cpu (with --smoke).")
@click.option("--encoder", "encoders", multiple=True, type=click.Choice(list(ENCODERS)), default=tuple(ENCODERS))
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), default=tuple(WAYS))
@click.option("--batch", type=click.IntRange(1), default=24, show_default=True, help="Images; the paper's, on one GPU.")
@click.option("--limit", type=click.IntRange(1), default=512, show_default=True, help="Of the largest batch.")
@click.option("--humans", type=click.IntRange(1), default=6, show_default=True, help="Per image.")
@click.option("--precision", type=click.Choice(["bfloat16", "float32"]), default="bfloat16", show_default=True)
@click.option("--runs", type=click.IntRange(1), default=20, show_default=True, help="Steps timed.")
@click.option("--smoke", "tiny", is_flag=True, help="Tiny sizes, to run the script through.")
def command(
    output: Path | None, device: str, encoders: tuple[str, ...], ways: tuple[str, ...], batch: int, limit: int,
    humans: int, precision: Literal["bfloat16", "float32"], runs: int, tiny: bool,
) -> None:  # fmt: skip
    """Measure, print a table, write the figures."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        print("no CUDA device is visible: nothing measured")
        write_report({"skipped": "no CUDA device is visible", "machine": describe_machine()}, output)
        return
    opened = open_device(device)
    proposals = load_params(ROOT / "params.yaml", "hicodet")[TrainParams].max_proposals
    report: dict[str, Any] = {"encoders": {}}
    for encoder in encoders:
        problem = Problem(ENCODERS[encoder], "hicodet", humans, proposals, precision)
        problem = smoke(problem) if tiny else problem
        rows = report["encoders"][encoder] = {}
        for name, figures in measure_encoder(problem, opened, batch=batch, limit=limit, calls=runs, ways=ways):
            rows[name] = figures
            print(_line(encoder, name, figures), flush=True)
    measured = (
        f"whole training steps, {precision}, {problem.pairs} pairs an image; floor: matrix products and convolutions"
    )
    where = torch.cuda.get_device_name(opened) if opened.type == "cuda" else "cpu"
    machine = describe_machine() | {"device": where, "pairs_per_image": problem.pairs}
    write_report({"measured": measured, **summary(report, encoders[0]), **report, "machine": machine}, output)


def _line(encoder: str, way: str, figures: dict[str, Any]) -> str:
    memory = "" if figures["gigabytes"] is None else f", {figures['gigabytes']:.1f} GB"
    return (
        f"{encoder}, {way}: batch {figures['batch']}, {figures['images_per_second']:.1f} images/s, "
        f"{100 * figures['fraction_of_peak']:.0f} % of {figures['peak_tflops']:.1f} TFLOP/s{memory}"
    )


if __name__ == "__main__":
    command()
