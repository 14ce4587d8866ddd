"""What each method costs on the toyworld: parameters, images per second of a training step, milliseconds of inference.

    python -m benchmarks.methods [--write] [--json result.json]

Methods stand side by side in one process and take turns; a figure is the median of its turns. A training step is
that of `train` at the row's own batch size; inference is the network over the batches of `infer`, on the CPU. Images
are random, with six proposals each, of which three are humans, as in the toyworld; decoding plays no part. `ratio` is
the training time per image of `--reference` (ours) over the method's: above 1 is quicker. --write puts the figures into
results/toyworld/costs.csv, from which `weakhoi summary` takes them.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch
from torch.nn import functional
from torchvision.models.detection import FasterRCNN

from benchmarks.measure import ROOT, describe_machine, json_option, seconds_of, write_report
from benchmarks.synthetic_bags import random_bags, random_categories
from pipeline.backbones.base import Sources, freeze_batch_norm
from pipeline.config.layout import Layout
from pipeline.config.params import Params, load_params, load_variants
from pipeline.config.run import Run
from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.detection.detectors import load_fasterrcnn
from pipeline.detection.params import DetectParams
from pipeline.inference.pair_outputs import batch_outputs
from pipeline.inference.params import InferParams
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import HoiModel, ModelChoice, new_model
from pipeline.methods.pairing import PairRule
from pipeline.methods.params import ModelParams
from pipeline.prompts.clip_bank import encode_prompts, open_clip
from pipeline.prompts.params import ClipParams, PromptParams
from pipeline.report.methods import COST_COLUMNS, PUBLISHED
from pipeline.store.files import write_text
from pipeline.toyworld.vocabulary import toyworld_vocabulary
from pipeline.training.distributed import ALONE
from pipeline.training.feed import FedBatch
from pipeline.training.loop import loss_weights
from pipeline.training.optimizer import build_optimizer
from pipeline.training.params import TrainParams
from pipeline.training.step import BatchLoss, optimizer_step

_CPU = torch.device("cpu")
_HUMANS, _THINGS = 3, 3  # proposals per image


@dataclass(frozen=True)
class Problem:
    """One row of params.yaml on the toyworld."""

    params: Params
    model: HoiModel
    vocabulary: Vocabulary

    @classmethod
    def of(cls, row: str) -> Problem:
        """The row's model before its first step."""
        params, vocabulary = load_params(ROOT / "params.yaml", "toyworld", Run(row)), toyworld_vocabulary()
        clip = open_clip(params[ClipParams], ROOT)
        bank = encode_prompts(clip, vocabulary, params[PromptParams], text_only=params[ModelParams].bank == "roberta")
        model_params = params[ModelParams]

        def detector() -> tuple[FasterRCNN, dict[str, Any]]:
            return load_fasterrcnn(params[DetectParams], root=ROOT)

        sources = Sources(clip, detector, bank.hoi_embeddings.shape[1], model_params.image_size)
        return cls(params, new_model(ModelChoice.of(model_params), sources, bank, vocabulary, seed=0), vocabulary)

    def bags(self, num_images: int, *, with_proposals: bool = True) -> BagBatch:
        """Random images, with or without proposals, and with class probabilities where the method asks for them."""
        side, humans, things = self.params[ModelParams].image_size, _HUMANS, _THINGS
        if not with_proposals:
            humans = things = 0
        categories = random_categories(self.vocabulary, num_images, humans=humans, things=things)
        bags = random_bags(torch.randn(num_images, 3, side, side), self.vocabulary, categories)
        if not self.model.method.needs_class_probabilities:
            return bags
        certain = functional.one_hot(bags.object_ids, self.vocabulary.num_objects).float()
        return replace(bags, class_probabilities=certain)

    def step(self) -> tuple[Callable[[], object], int] | None:
        """A training step and its number of images; None for a method that is not trained."""
        train, method = self.params[TrainParams], self.model.method
        if not method.loss_names:
            return None
        freeze_batch_norm(self.model.network.train())
        weights = loss_weights(method.loss_names, train)
        loss = BatchLoss(self.model.network, method.losses(LabeledClasses(self.vocabulary)), weights, train.precision)
        optimizer = build_optimizer(self.model.network, train)
        bags = self.bags(train.batch_size, with_proposals=method.needs_proposals)
        batch = FedBatch(bags, PairRule.of(self.vocabulary).pair(bags), tuple(range(len(bags))))
        clip = train.gradient_clip
        return lambda: optimizer_step(loss, optimizer, [batch], ALONE, gradient_clip=clip), len(bags)

    def inference(self) -> tuple[Callable[[], object], int]:
        """One batch of `infer`, and its number of images."""
        bags = self.bags(self.params[InferParams].batch_size)
        return lambda: batch_outputs(self.model, self.vocabulary, bags, _CPU), len(bags)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of parameters of the network, and of those that are trained."""
        own = [value for name, value in self.model.network.named_parameters() if not name.startswith("teacher.")]
        trained = sum(value.numel() for value in own if value.requires_grad) if self.model.method.loss_names else 0
        return {"parameters": sum(value.numel() for value in own), "trained": trained}


def measure(rows: list[str], runs: int) -> dict[str, dict[str, float]]:
    """Costs by row; the rows take turns."""
    torch.manual_seed(0)
    problems = {row: Problem.of(row) for row in rows}
    steps = {row: problem.step() for row, problem in problems.items()}
    training = {row: step for row, step in steps.items() if step is not None}
    step_seconds = _in_turns(training, runs)
    for problem in problems.values():
        problem.model.network.eval()
    infer_seconds = _in_turns({row: problem.inference() for row, problem in problems.items()}, runs)
    return {
        row: {
            **problem.sizes,
            "images_per_second": 1 / step_seconds[row] if row in step_seconds else float("nan"),
            "inference_ms": 1e3 * infer_seconds[row],
        }
        for row, problem in problems.items()
    }


def _in_turns(work: dict[str, tuple[Callable[[], object], int]], runs: int) -> dict[str, float]:
    """Median seconds per image of each, after a warm-up of all."""
    for call, _ in work.values():
        call()
    taken: dict[str, list[float]] = {row: [] for row in work}
    for _ in range(runs):
        for row, (call, images) in work.items():
            taken[row].append(seconds_of(call) / images)
    return {row: statistics.median(values) for row, values in taken.items()}


def costs_csv(costs: dict[str, dict[str, float]]) -> str:
    """The file that `report.methods.read_costs` reads; an empty cell is no number."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["variant", *COST_COLUMNS])
    for row, cost in costs.items():
        writer.writerow([row, *("" if cost[name] != cost[name] else f"{cost[name]:.12g}" for name in COST_COLUMNS)])
    return stream.getvalue()


@click.command()
@click.option("--row", "rows", multiple=True, help="Repeat; default: the rows of the table of methods.")
@click.option("--reference", default="ours", show_default=True)
@click.option("--runs", default=9, show_default=True, help="Turns of each method.")
@click.option("--threads", default=1, show_default=True)
@click.option("--write", is_flag=True, help="Also write results/toyworld/costs.csv.")
@json_option
def command(rows: tuple[str, ...], reference: str, runs: int, threads: int, write: bool, output: Path | None) -> None:
    """Measure and print."""
    torch.set_num_threads(threads)
    known = load_variants(ROOT / "params.yaml")
    chosen = list(rows) or [method.row for method in PUBLISHED if method.row in known]
    costs = measure(list(dict.fromkeys([*chosen, reference])), runs)
    for row, cost in costs.items():
        cost["ratio"] = cost["images_per_second"] / costs[reference]["images_per_second"]
        trained = f"{cost['images_per_second']:.1f} images/s in training (x {cost['ratio']:.2f})"
        size, inference = f"{cost['parameters'] / 1e6:.2f} M parameters", f"{cost['inference_ms']:.2f} ms/image"
        click.echo(f"{row:18} {size}, {inference} in inference; {trained if cost['trained'] else 'not trained'}")
    write_report({**describe_machine(), "runs": runs, "reference": reference, "rows": costs}, output)
    if write:
        write_text(Layout(ROOT, "toyworld").costs, costs_csv(costs))


if __name__ == "__main__":
    command()
