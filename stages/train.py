"""`train`: image-level labels, images, proposals and the knowledge bank, to a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.config.run import Run
from pipeline.core.device import open_device, peak_memory
from pipeline.methods.base import trained_state
from pipeline.store.checkpoint import save_checkpoint
from pipeline.store.files import write_text
from pipeline.store.stage_run import StageRun
from pipeline.store.work_folder import tell_of_other_work, work_folder
from pipeline.training.curves import tensorboard_curves
from pipeline.training.distributed import Ranks, join_ranks
from pipeline.training.loop import TrainingRun, batches_per_epoch, train
from pipeline.training.opened import open_training
from pipeline.training.params import TrainParams
from stages._command import dataset_option, device_option, progress, root_option, run_options, say, stage_command


@stage_command("train", help="Train one variant end to end from image-level labels.")
@dataset_option
@run_options
@click.option("--again", is_flag=True, help="Train also where a run of the same params, inputs and code is finished.")
@device_option
@root_option
def command(dataset: str, variant: str, seed: int | None, again: bool, device: str, root: Path) -> None:
    """Train, resuming where an interrupted run of the same params and inputs stopped.

    `torchrun --nproc-per-node N -m stages.train ...` shares each batch among N processes, one on each GPU.
    """
    layout, run = Layout(root, dataset), Run.parse(variant, seed=seed)
    with join_ranks() as ranks, StageRun("train", layout, run) as stage:
        _train(stage, run, device, ranks, again=again)


def _train(stage: StageRun, run: Run, device: str, ranks: Ranks, *, again: bool) -> None:
    """Train on one of the ranks; only the first one writes files."""
    layout, execution = stage.layout, load_execution(stage.layout.params)
    opened = open_device(device, local_rank=ranks.local_rank if ranks.size > 1 else None)
    ranks.connect(opened)
    training = open_training(stage, run.seed)
    params, num_images = training.params, len(training.bags)
    digest = training.digest(stage, {"ranks": ranks.size, "device": opened.type})
    if not again and stage.is_finished(digest):
        if ranks.writes:
            click.echo(
                f"{layout.checkpoint(run)}: trained already, with these params, inputs and code; --again trains anew"
            )
        return
    if ranks.writes:
        tell_of_other_work(stage.work, digest, say)
    per_epoch = batches_per_epoch(training.model, training.bags, params)
    curves = layout.tensorboard(run) if execution.tensorboard and ranks.writes else None
    with (
        progress(
            per_epoch * params.epochs * params.batch_size, f"train {run.name}", hidden=not ranks.writes
        ) as advance,
        tensorboard_curves(curves) as draw,
    ):
        log = train(
            training.model,
            training.vocabulary,
            training.bags,
            TrainingRun(
                params=params,
                digest=digest,
                work=work_folder(stage.work, digest),
                device=opened,
                progress=_Shown(advance, draw, per_epoch, params, opened),
                execution=execution,
                ranks=ranks,
                tell=say,
            ),
        )
    if not ranks.writes:
        return
    outputs = [layout.checkpoint(run), layout.training_log(run)]
    save_checkpoint(outputs[0], trained_state(training.model.network), training.model.config)
    write_text(outputs[1], log.text())
    counts: dict[str, Any] = {"images": num_images, "iterations": len(log.rows), "labels": training.source}
    if ranks.size > 1:
        counts["ranks"] = ranks.size  # it changes the order of float sums
    stage.finish(outputs, counts, seed=params.seed, digest=digest)


class _Shown:
    """Shows the figures of each iteration: a step of the progress, which counts images, and points of curves."""

    def __init__(
        self,
        advance: Callable[..., None],
        draw: Callable[[dict[str, float]], None],
        per_epoch: int,
        params: TrainParams,
        device: torch.device,
    ) -> None:
        self._advance, self._draw, self._device = advance, draw, device
        self._per_epoch, self._params = per_epoch, params
        self._done = 0  # iterations; those of a run that is resumed are counted with its first one

    def __call__(self, figures: dict[str, float]) -> None:
        self._draw(figures)
        iteration, before = int(figures["iteration"]) + 1, self._done
        self._done = iteration
        epochs = self._params.epochs
        own = {
            "epoch": f"{(iteration - 1) // self._per_epoch + 1}/{epochs}",
            "loss": figures["loss"],
            "iteration": f"{iteration}/{self._per_epoch * epochs}",
        }
        memory = f"{peak_memory(self._device) / 1e9:.1f} GB"
        last = {"waiting": f"{figures['waiting']:.2f}", "memory": memory}
        others = {name: value for name, value in figures.items() if name not in own | last}
        self._advance((iteration - before) * self._params.batch_size, **own, **others, **last)


if __name__ == "__main__":
    command()
