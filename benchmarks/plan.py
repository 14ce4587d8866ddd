"""What `weakhoi plan` says of peak memory beside measured peaks, at HICO-DET's sizes.

    python -m benchmarks.plan [--case "RN50, whole share"] [--json result.json]

Two training steps, and a forward pass of inference, with random weights and images, on the CPU, float32; each in a
process of its own, which gives freed memory back at once (malloc's thresholds are set). Both figures are above weights
and inputs. `ratio` is the plan's figure over the measured one, of the case where it is furthest from 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.gpu_step import ENCODERS, Problem, smoke
from benchmarks.measure import ROOT, describe_machine, json_option, peak_resident_bytes, write_report
from benchmarks.step_memory import WAYS, prepare_step
from benchmarks.synthetic_bags import random_bags, vocabulary_of
from pipeline.backbones.clip_vit import ViTConfig
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.core.types import IntArray
from pipeline.inference.pair_outputs import batch_outputs
from pipeline.methods.params import ModelParams
from pipeline.planning.dataset_sizes import Crowd, DatasetSizes, SplitSizes
from pipeline.planning.run_plan import RunPlan

_RN50 = Problem(ENCODERS["rn50"], "hicodet", 6, 20, "float32")
_VIT_B16 = replace(_RN50, visual=ViTConfig(224, 16, 768, 12, 12, 512, "quick_gelu"), variant="vit_b16")
_THRESHOLD = str(2**16)  # bytes: larger pieces of memory go back to the system when they are freed
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": _THRESHOLD, "MALLOC_TRIM_THRESHOLD_": _THRESHOLD}


@dataclass(frozen=True)
class Case:
    """What is planned and measured: a way of a training step, or inference on images of so many people alone."""

    problem: Problem
    images: int
    way: str | None = None
    people: int | None = None

    @property
    def crowd(self) -> Crowd:
        """Of every image."""
        if self.people is not None:
            return Crowd(self.people, 0)
        return Crowd(self.problem.humans, self.problem.proposals - self.problem.humans)

    @property
    def object_ids(self) -> IntArray:
        """Of every image."""
        return self.crowd.object_ids(vocabulary_of(self.problem.dataset))


CASES = {
    **{f"RN50, {way}": Case(_RN50, 4, way) for way in WAYS},
    "RN50, inference": Case(_RN50, 3),
    "RN50, inference, 30 people": Case(_RN50, 1, people=30),
    "ViT-B/16, whole batch": Case(_VIT_B16, 4, "whole batch"),
    "ViT-B/16, recomputed": Case(_VIT_B16, 4, "recomputed"),
    "ViT-B/16, inference": Case(_VIT_B16, 3),
}


def planned_bytes(case: Case) -> int:
    """What the plan says, without weights and inputs."""
    variant = f"{case.problem.variant}+train.batch_size={case.images}"
    params = load_params(ROOT / "params.yaml", case.problem.dataset, Run.parse(variant))
    split = SplitSizes(1000, (case.object_ids,))
    plan = RunPlan(params, DatasetSizes(vocabulary_of(case.problem.dataset), split, split, "", ""), ROOT)
    if case.way is None:
        return plan.forward([case.object_ids] * case.images).above
    return plan.training(WAYS[case.way]).above


def prepare_case(case: Case) -> Callable[[], object]:
    """The work of a case, whose libraries are loaded."""
    if case.way is None:
        return _prepare_inference(case)
    step = prepare_step(case.problem, case.way, case.images)
    return lambda: (step(), step())


def _prepare_inference(case: Case) -> Callable[[], object]:
    torch.use_deterministic_algorithms(True)  # as every stage does
    problem, vocabulary, device = case.problem, vocabulary_of(case.problem.dataset), torch.device("cpu")
    model, side = problem.model(), problem.params[ModelParams].image_size
    model.network.eval()

    def outputs(ids: Sequence[IntArray]) -> Callable[[], object]:
        bags = random_bags(torch.randn(len(ids), 3, side, side), vocabulary, torch.from_numpy(np.stack(ids)))
        return partial(batch_outputs, model, vocabulary, bags, device)

    outputs([case.object_ids[:2]])()
    return outputs([case.object_ids] * case.images)


@click.command(help=__doc__)
@json_option
@click.option("--case", "names", multiple=True, type=click.Choice(list(CASES)), default=tuple(CASES))
@click.option("--smoke", "tiny", is_flag=True, help="Tiny sizes, to run the script through.")
def command(output: Path | None, names: tuple[str, ...], tiny: bool) -> None:
    """Plan and measure, print a line each, write the figures."""
    os.environ.update(_MALLOC)  # of the processes that measure
    machine, rows = describe_machine(), dict[str, Any]()
    for name in names:
        case = CASES[name]
        planned = planned_bytes(case) / 2**20
        measured = peak_resident_bytes(prepare_case, _tiny(case) if tiny else case) / 2**20
        rows[name] = {"planned_mib": planned, "measured_mib": measured, "ratio": planned / measured}
        print(f"{name}: planned {planned:.0f}, measured {measured:.0f} MiB, {planned / measured:.2f} x", flush=True)
    ratio = max((row["ratio"] for row in rows.values()), key=lambda value: max(value, 1 / value))
    write_report({"ratio": ratio, "cases": rows, "machine": machine}, output)


def _tiny(case: Case) -> Case:
    """What is measured; the plan takes no time."""
    return replace(case, problem=smoke(case.problem))


if __name__ == "__main__":
    command()
