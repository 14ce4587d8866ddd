"""What the report reads under results/: metrics, per-class AP, mean curves, training logs, and studies over seeds.

Scores are percent in the metrics and per class, 0..1 in the curves, as `evaluate` wrote them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.class_groups import FULL
from pipeline.core.errors import ArtifactError
from pipeline.evaluation.summary import ROLE_MEASURES
from pipeline.store.files import read_json

DoubleArray = NDArray[np.float64]

_BEFORE_ERRORS, _BEFORE_GROUPS = "detections", "train_instances"  # columns of a per-class file: errors, groups follow


@dataclass(frozen=True)
class RunMetrics:
    """Metrics of one run, percent; None where the dataset has no such class.

    Attributes:
        means: mAP of each group of classes; `groups` is the number of classes of each.
        counts: of images, annotated pairs, detections and classes behind the metrics.
        roles: the V-COCO protocol's measures, empty where it was not asked for.
        at_break_even: detections and missed annotated pairs by type of error; empty where these were not sorted.
        gain_if_fixed: points of mAP gained if a type were fixed, by type.
        of_images: mAP of whole images by group of classes; empty where a method does not score images.
    """

    variant: str
    split: str
    setting: str
    means: dict[str, float | None]
    max_recall: float | None
    groups: dict[str, int]
    counts: dict[str, int]
    roles: dict[str, float | None]
    at_break_even: dict[str, int]
    gain_if_fixed: dict[str, float | None]
    of_images: dict[str, float | None]

    @property
    def measures(self) -> dict[str, float | None]:
        """All scores by name: the V-COCO protocol's first, means over groups, and the mean maximum recall.

        Without annotated boxes there is the images' mAP alone.
        """
        if self.of_images and not self.counts["ground_truth_pairs"]:
            return {"of_images": self.of_images[FULL]}
        return {**self.roles, **self.means, "max_recall": self.max_recall}


@dataclass(frozen=True)
class PerClass:
    """By HOI class: name, AP in percent (nan without ground truth), and numbers of training and test pairs, [H] each.

    `groups`: the classes of each group but the one of all, bool [H]; `errors`: detections and missed pairs at
    break-even by type of error, [H] each.
    """

    names: tuple[str, ...]
    ap: DoubleArray
    train_instances: DoubleArray
    ground_truth: DoubleArray
    groups: dict[str, NDArray[np.bool_]]
    errors: dict[str, DoubleArray]


def read_metrics(path: Path, remedy: str) -> RunMetrics:
    """Read the metrics of a run.

    Raises:
        ArtifactError: missing, or not what `evaluate` writes; `remedy` says what to do.
    """
    return _run_metrics(path, read_json(path, remedy=remedy), remedy)


def _run_metrics(path: Path, data: Any, remedy: str) -> RunMetrics:
    try:
        groups = dict(data["groups"])
        return RunMetrics(
            **{name: data[name] for name in ("variant", "split", "setting", "max_recall", "counts")},
            groups=groups,
            means={name: data[name] for name in groups},
            roles={name: data[name] for name in ROLE_MEASURES if name in data},
            at_break_even=dict(data.get("at_break_even", {})),
            gain_if_fixed=dict(data.get("gain_if_fixed", {})),
            of_images={name: value for name, value in data.get("image_level", {}).items() if name in groups},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: not the metrics of a run ({error!r} missing or wrong); {remedy}") from None


def read_per_class(path: Path, remedy: str) -> PerClass:
    """Read per-class AP; names are "verb object". Raises ArtifactError."""
    columns = read_columns(path, ("verb", "object", "ap", "ground_truth", _BEFORE_ERRORS, _BEFORE_GROUPS), remedy)
    before, after = list(columns).index(_BEFORE_ERRORS) + 1, list(columns).index(_BEFORE_GROUPS)
    errors, groups = list(columns)[before:after], list(columns)[after + 1 :]
    return PerClass(
        names=tuple(f"{verb} {obj}" for verb, obj in zip(columns["verb"], columns["object"], strict=True)),
        ap=numbers(path, columns["ap"], remedy),
        train_instances=numbers(path, columns[_BEFORE_GROUPS], remedy),
        ground_truth=numbers(path, columns["ground_truth"], remedy),
        groups={name: numbers(path, columns[name], remedy) > 0 for name in groups},
        errors={name: numbers(path, columns[name], remedy) for name in errors},
    )


def read_mean_curves(path: Path, remedy: str) -> dict[str, tuple[DoubleArray, DoubleArray]]:
    """Read mean recall and precision, 0..1, by group of classes, of which empty ones are left out. ArtifactError."""
    columns = read_columns(path, ("recall", FULL), remedy)
    values = {name: numbers(path, texts, remedy) for name, texts in columns.items()}
    recall = values.pop("recall")
    return {name: (recall, precision) for name, precision in values.items() if not np.isnan(precision).all()}


def read_weight_sweep(path: Path, remedy: str) -> dict[str, DoubleArray]:
    """Read weight, the mAP of each group of classes in percent, and `chosen` (1 at the params' own). ArtifactError."""
    columns = read_columns(path, ("weight", FULL, "chosen"), remedy)
    return {name: numbers(path, texts, remedy) for name, texts in columns.items()}


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
    return dict(sorted(runs.items(), key=lambda item: -(item[1].means[FULL] or 0.0)))


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
