"""What is on disk about one variant."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
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
from pipeline.store.inputs import StageInputs


@dataclass(frozen=True)
class RunRecords:
    """Description, metrics, per-class AP, mean curves, sweeps of weights by factor, and training log of a variant."""

    desc: str
    metrics: RunMetrics
    per_class: PerClass
    curves: Mapping[str, tuple[DoubleArray, DoubleArray]]
    sweeps: Mapping[str, Mapping[str, DoubleArray]]
    training: Mapping[str, DoubleArray]


def read_run_records(inputs: StageInputs, name: str, desc: str) -> RunRecords:
    """Check and read all that `evaluate` and `train` left about a variant.

    Raises:
        ArtifactError: a file is missing or damaged; names the command that makes it.
    """
    layout, run = inputs.layout, Run.parse(name)
    evaluate = remedy("evaluate", layout, name)

    def taken(kind: Callable[[Run], Path]) -> Path:
        return inputs.take(kind(run), "evaluate", run)

    sweeps = _sweep_files(taken(layout.weight_sweeps), evaluate)
    return RunRecords(
        desc=desc,
        metrics=read_metrics(taken(layout.metrics), evaluate),
        per_class=read_per_class(taken(layout.per_class), evaluate),
        curves=read_mean_curves(taken(layout.precision_recall), evaluate),
        sweeps={path.stem: read_weight_sweep(path, evaluate) for path in sweeps},
        training=read_training_log(inputs.take(layout.training_log(run), "train", run), remedy("train", layout, name)),
    )


def _sweep_files(folder: Path, remedy: str) -> list[Path]:
    """A CSV file per factor."""
    if not (files := sorted(folder.glob("*.csv"))):
        fault = "holds no sweep" if folder.is_dir() else "does not exist"
        raise ArtifactError(f"{folder} {fault}; {remedy}")
    return files


def remedy(stage: str, layout: Layout, name: str) -> str:
    """What to do where a file of a variant is missing or stale."""
    return f'run "weakhoi {stage} --dataset {layout.dataset} --variant {shlex.quote(name)}"'
