"""What the report reads under results/: metrics, per-class AP, mean curves, training logs, and studies over seeds.

Scores are percent in the metrics and per class, 0..1 in the curves, as `evaluate` wrote them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError
from pipeline.store.files import read_json

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True)
class RunMetrics:
    """Metrics of one run, percent; None where the dataset has no such class. `counts` is what they were taken over.

    The last three are the V-COCO protocol's, None where it was not asked for.
    """

    variant: str
    split: str
    setting: str
    full: float | None
    rare: float | None
    non_rare: float | None
    max_recall: float | None
    counts: dict[str, int]
    ap_role_s1: float | None = None
    ap_role_s2: float | None = None
    ap_agent: float | None = None


@dataclass(frozen=True)
class PerClass:
    """By HOI class: name, AP in percent (nan without ground truth), rarity, and number of training pairs, [H] each."""

    names: tuple[str, ...]
    ap: DoubleArray
    is_rare: NDArray[np.bool_]
    train_instances: DoubleArray


def read_metrics(path: Path, remedy: str) -> RunMetrics:
    """Read the metrics of a run.

    Raises:
        ArtifactError: missing, or not what `evaluate` writes; `remedy` says what to do.
    """
    return _run_metrics(path, read_json(path, remedy=remedy), remedy)


def _run_metrics(path: Path, data: Any, remedy: str) -> RunMetrics:
    try:
        names = [item.name for item in fields(RunMetrics) if item.default is MISSING or item.name in data]
        return RunMetrics(**{name: data[name] for name in names})
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: not the metrics of a run ({error!r} missing or wrong); {remedy}") from None


def check_metrics(path: Path, stored: RunMetrics, computed: dict[str, Any], remedy: str) -> None:
    """Refuse metrics that were made from another dump or with other params than those of today.

    Args:
        computed: `pipeline.evaluation.summary.metrics` of the dump that the report draws.

    Raises:
        ArtifactError: names the first number that differs.
    """
    for name, value in computed.items():
        if getattr(stored, name) != value:
            raise ArtifactError(
                f"{path}: {name} is {getattr(stored, name)}, the predictions and params.yaml of now give {value}; "
                f"{remedy}"
            )


def read_per_class(path: Path, remedy: str) -> PerClass:
    """Read per-class AP; names are "verb object". Raises ArtifactError."""
    columns = read_columns(path, ("verb", "object", "ap", "rare", "train_instances"), remedy)
    return PerClass(
        names=tuple(f"{verb} {obj}" for verb, obj in zip(columns["verb"], columns["object"], strict=True)),
        ap=numbers(path, columns["ap"], remedy),
        is_rare=numbers(path, columns["rare"], remedy) > 0,
        train_instances=numbers(path, columns["train_instances"], remedy),
    )


def read_mean_curves(path: Path, remedy: str) -> dict[str, tuple[DoubleArray, DoubleArray]]:
    """Read mean recall and precision, 0..1, by group of classes, of which empty ones are left out. ArtifactError."""
    groups = ("full", "rare", "non_rare")
    columns = read_columns(path, ("recall", *groups), remedy)
    recall, curves = numbers(path, columns["recall"], remedy), {}
    for name in groups:
        precision = numbers(path, columns[name], remedy)
        if not np.isnan(precision).all():
            curves[name] = (recall, precision)
    return curves


def read_weight_sweep(path: Path, remedy: str) -> dict[str, DoubleArray]:
    """Read weight, the mAP of each group of classes in percent, and `chosen` (1 at the params' own). ArtifactError."""
    names = ("weight", "full", "rare", "non_rare", "chosen")
    columns = read_columns(path, names, remedy)
    return {name: numbers(path, columns[name], remedy) for name in names}


def read_training_log(path: Path, remedy: str) -> dict[str, DoubleArray]:
    """Read epoch, total and loss terms of every iteration; none for a run of no epoch. Raises ArtifactError."""
    columns = read_columns(path, ("iteration", "epoch", "loss"), remedy, may_be_empty=True)
    return {name: numbers(path, texts, remedy) for name, texts in columns.items() if name != "iteration"}


def read_study(folder: Path) -> dict[str, dict[int, RunMetrics]]:
    """Return the test metrics of a study by row and seed; empty where there is no study.

    Files are `<run>-<seed>.json` as `score` writes them: one run, and every row that is scored from it.

    Raises:
        ArtifactError: a file is damaged, or its name does not agree with what it holds.
    """
    study: dict[str, dict[int, RunMetrics]] = {}
    for path in sorted(folder.glob("*.json")):
        remedy = "score this run again, or remove the file"
        data = read_json(path, remedy=remedy)
        try:
            run, seed, rows = str(data["run"]), int(data["seed"]), dict(data["rows"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not the metrics of a seeded run ({error!r}); {remedy}") from None
        if path.stem != f"{run}-{seed}":
            raise ArtifactError(f"{path}: metrics of {run}, seed {seed}; expected the name {run}-{seed}.json")
        for row, values in rows.items():
            study.setdefault(row, {})[seed] = _run_metrics(path, {"variant": row, "split": "test", **values}, remedy)
    return study


def read_tuning(folder: Path) -> dict[str, RunMetrics]:
    """Return the metrics of a parameter search by file name, best Full first; empty where there is none."""
    runs = {path.stem: read_metrics(path, "evaluate this run again") for path in sorted(folder.glob("*.json"))}
    return dict(sorted(runs.items(), key=lambda item: -(item[1].full or 0.0)))


def read_columns(path: Path, names: Iterable[str], remedy: str, *, may_be_empty: bool = False) -> dict[str, list[str]]:
    """Read all columns of a CSV file with a header.

    Raises:
        ArtifactError: no file, no rows where it may not be empty, or one of `names` is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            rows, header = list(reader), reader.fieldnames or ()
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; {remedy}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArtifactError(f"{path}: not CSV ({error}); {remedy}") from None
    missing = [name for name in names if name not in header or (rows and rows[0][name] is None)]
    if missing:
        raise ArtifactError(f"{path}: {', '.join(missing)} missing; {remedy}")
    if not rows and not may_be_empty:
        raise ArtifactError(f"{path}: no rows at all; {remedy}")
    return {name: [row[name] for row in rows] for name in header}


def numbers(path: Path, texts: list[str], remedy: str) -> DoubleArray:
    """Numbers of a column, float64; an empty cell is nan. Raises ArtifactError."""
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except (ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: {error}; {remedy}") from None
