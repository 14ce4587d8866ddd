"""Runs the parts of a stage over images with a progress bar, in this process or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pipeline.config.params import load_execution
from pipeline.store.engine import Job, run_parts
from pipeline.store.part_work import ImageWork
from pipeline.store.parts import FinishedParts
from pipeline.store.stage_run import StageRun
from stages._command import progress, say

Work = TypeVar("Work", bound=ImageWork)


def run_job(
    job: Job[Work], stage: StageRun, scheduler: str | None, opened: Callable[[Work], None] = lambda work: None
) -> tuple[Work, FinishedParts]:
    """Compute the missing parts; return the opened work and all parts. Arguments and errors as of `run_parts`."""
    label = " ".join((stage.stage, *stage.arguments.values()))
    return run_parts(
        job,
        progress=partial(progress, label=label),
        tell=say,
        scheduler=scheduler,
        threads=load_execution(stage.layout.params).decode_threads,
        opened=opened,
    )
