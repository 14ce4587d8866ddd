"""`train`: image-level labels, images, proposals and the knowledge bank, to a checkpoint."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.config.run import Run
from pipeline.core.device import open_device
from pipeline.methods.base import trained_state
from pipeline.store.checkpoint import save_checkpoint
from pipeline.store.files import write_text
from pipeline.store.stage_run import StageRun
from pipeline.store.work_folder import tell_of_other_work, work_folder
from pipeline.training.distributed import Ranks, join_ranks
from pipeline.training.loop import TrainingRun, train
from pipeline.training.opened import open_training
from stages._command import dataset_option, device_option, progress, root_option, run_options, stage_command


@stage_command("train", help="Train one variant end to end from image-level labels.")
@dataset_option
@run_options
@device_option
@root_option
def command(dataset: str, variant: str, seed: int | None, device: str, root: Path) -> None:
    """Train, resuming where an interrupted run of the same params and inputs stopped.

    `torchrun --nproc-per-node N -m stages.train ...` shares each batch among N processes, one on each GPU.
    """
    layout, run = Layout(root, dataset), Run.parse(variant, seed=seed)
    with join_ranks() as ranks, StageRun("train", layout, run) as stage:
        _train(stage, run, device, ranks)


def _train(stage: StageRun, run: Run, device: str, ranks: Ranks) -> None:
    """Train on one of the ranks; only the first one writes files."""
    layout, tell = stage.layout, partial(click.echo, err=True)
    opened = open_device(device, local_rank=ranks.local_rank if ranks.size > 1 else None)
    ranks.connect(opened)
    training = open_training(stage, run.seed)
    params, num_images = training.params, len(training.bags)
    digest = training.digest(stage, {"ranks": ranks.size, "device": opened.type})
    if ranks.writes:
        tell_of_other_work(stage.work, digest, tell)
    steps = params.epochs * max(1, num_images // params.batch_size)
    with progress(steps * params.batch_size, f"train {run.name}", hidden=not ranks.writes) as advance:
        log = train(
            training.model,
            training.vocabulary,
            training.bags,
            TrainingRun(
                params=params,
                digest=digest,
                work=work_folder(stage.work, digest),
                device=opened,
                progress=lambda losses: advance(params.batch_size, **losses),
                execution=load_execution(layout.params),
                ranks=ranks,
                tell=tell,
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
    stage.finish(outputs, counts, seed=params.seed)


if __name__ == "__main__":
    command()
