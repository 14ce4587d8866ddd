"""What is on disk about one variant, and which files it came from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.report.results import (
    DoubleArray,
    PerClass,
    RunMetrics,
    read_mean_curves,
    read_metrics,
    read_per_class,
    read_training_log,
    read_weight_sweep,
)


@dataclass(frozen=True)
class RunRecords:
    """Description, metrics, per-class AP, mean curves, sweeps of weights by factor, and training log of a variant."""

    desc: str
    metrics: RunMetrics
    per_class: PerClass
    curves: Mapping[str, tuple[DoubleArray, DoubleArray]]
    sweeps: Mapping[str, Mapping[str, DoubleArray]]
    training: Mapping[str, DoubleArray]


def read_run_records(layout: Layout, name: str, desc: str) -> RunRecords:
    """Read all that `evaluate` and `train` left about a variant.

    Raises:
        ArtifactError: a file is missing or damaged; names the command that makes it.
    """
    evaluate, run = remedy("evaluate", layout, name), Run.parse(name)
    return RunRecords(
        desc=desc,
        metrics=read_metrics(layout.metrics(run), evaluate),
        per_class=read_per_class(layout.per_class(run), evaluate),
        curves=read_mean_curves(layout.precision_recall(run), evaluate),
        sweeps={path.stem: read_weight_sweep(path, evaluate) for path in _sweep_files(layout, run, evaluate)},
        training=read_training_log(layout.training_log(run), remedy("train", layout, name)),
    )


def _sweep_files(layout: Layout, run: Run, remedy: str) -> list[Path]:
    """A CSV file per factor."""
    folder = layout.weight_sweeps(run)
    if not (files := sorted(folder.glob("*.csv"))):
        fault = "holds no sweep" if folder.is_dir() else "does not exist"
        raise ArtifactError(f"{folder} {fault}; {remedy}")
    return files


def record_files(layout: Layout, name: str) -> list[Path]:
    """The files that `read_run_records` reads, and the dump that they were evaluated from."""
    kinds = (layout.metrics, layout.per_class, layout.precision_recall, layout.weight_sweeps, layout.training_log)
    return [*(kind(Run.parse(name)) for kind in kinds), layout.predictions(Run.parse(name))]


def remedy(stage: str, layout: Layout, name: str) -> str:
    """What to do where a file of a variant is missing or stale."""
    return f'run "weakhoi {stage} --dataset {layout.dataset} --variant {shlex.quote(name)}"'
