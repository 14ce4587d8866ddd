"""How the stages over images compute their parts: with a progress bar, in this process or on a cluster."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

import click

from pipeline.config.params import load_execution
from pipeline.store.engine import Recipe, run_parts
from pipeline.store.part_work import ImageWork
from pipeline.store.parts import FinishedParts
from pipeline.store.stage_run import StageRun
from stages._command import progress

Work = TypeVar("Work", bound=ImageWork)


def run_recipe(recipe: Recipe[Work], stage: StageRun, scheduler: str | None) -> tuple[Work, FinishedParts]:
    """Return the opened work and its parts, all on disk; raises UserError as `run_parts`."""
    label = " ".join((stage.stage, *stage.arguments.values()))
    return run_parts(
        recipe,
        progress=partial(progress, label=label),
        tell=partial(click.echo, err=True),
        scheduler=scheduler,
        threads=load_execution(stage.layout.params).decode_threads,
    )
