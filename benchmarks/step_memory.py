"""Peak memory of a training step at HICO-DET's sizes: the whole batch at once, in micro-batches, and recomputed.

    python -m benchmarks.step_memory [--images 4] [--json result.json]

RN50, 448 pixels, random weights and images, on the CPU, float32; each way in a process of its own. The peak is above
weights and inputs: gradients and the optimizer's moments are in it. `ratio` is that of micro-batches of one image with
recomputation over that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import torch

from benchmarks.gpu_step import ENCODERS, PLAIN, Problem, smoke
from benchmarks.measure import describe_machine, json_option, peak_resident_bytes, write_report

WAYS = {
    "whole batch": PLAIN,
    "recomputed": replace(PLAIN, gradient_checkpointing=True),
    "micro_batch 1": replace(PLAIN, micro_batch=1),
    "micro_batch 1, recomputed": replace(PLAIN, micro_batch=1, gradient_checkpointing=True),
}


def prepare_step(problem: Problem, way: str, num_images: int) -> Callable[[], object]:
    """One step; a forward pass of the backbone has run before, on an image of the size."""
    torch.use_deterministic_algorithms(True)  # as every stage does
    device = torch.device("cpu")
    with torch.no_grad():
        network, batch = problem.model().network, problem.batch(1, device, PLAIN)
        network(batch.bags, batch.pairs)
    del network, batch
    return problem.steps(num_images, device, WAYS[way])


@click.command(help=__doc__)
@json_option
@click.option("--images", type=click.IntRange(2), default=4, show_default=True, help="Of the batch.")
@click.option("--humans", type=click.IntRange(1), default=6, show_default=True, help="Per image.")
@click.option("--proposals", type=click.IntRange(2), default=20, show_default=True, help="Per image, humans included.")
@click.option("--smoke", "tiny", is_flag=True, help="Tiny sizes, to run the script through.")
def command(output: Path | None, images: int, humans: int, proposals: int, tiny: bool) -> None:
    """Measure, print a line each, write the figures."""
    problem = Problem(ENCODERS["rn50"], "hicodet", humans, proposals, "float32")
    problem, machine, peaks = smoke(problem) if tiny else problem, describe_machine(), {}
    for way in WAYS:
        peaks[way] = peak_resident_bytes(prepare_step, problem, way, images) / 2**20
        print(f"{images} images of {problem.pairs} pairs, {way}: {peaks[way]:.0f} MiB", flush=True)
    ratio = peaks["micro_batch 1, recomputed"] / peaks["whole batch"]
    write_report({"ratio": ratio, "images": images, "peak_mib": peaks, "machine": machine}, output)


if __name__ == "__main__":
    command()
