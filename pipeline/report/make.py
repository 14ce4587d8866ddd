"""The whole report of a dataset: read what the stages left, choose, draw. Nothing is written here."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.config.layout import Layout
from pipeline.config.params import Variant
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.report import results
from pipeline.report.drawing import jpeg_bytes, png_bytes
from pipeline.report.error_view import Confusions, count_confusions
from pipeline.report.gallery import gallery_record
from pipeline.report.params import ReportParams
from pipeline.report.results import DoubleArray, PerClass, RunMetrics
from pipeline.report.selection import ScoredRun, compared, read_scored, sample_indices
from pipeline.report.sheet import TILES_PER_ROW, preview
from pipeline.report.variant_sheets import draw_variant
from pipeline.store.detections_dump import open_matched
from pipeline.store.inputs import StageInputs
from pipeline.store.run_params import refuse_other_params


@dataclass(frozen=True)
class RunRecords:
    """What is on disk about a variant: `curves` by group of classes, `sweeps` by the factor whose weight changes."""

    desc: str
    metrics: RunMetrics
    per_class: PerClass
    curves: Mapping[str, tuple[DoubleArray, DoubleArray]]
    sweeps: Mapping[str, Mapping[str, DoubleArray]]
    training: Mapping[str, DoubleArray]


@dataclass(frozen=True)
class Report:
    """Everything that the report shows.

    Attributes:
        runs: by variant, in the order in which they are shown.
        sheets: contact sheet of each variant, PNG.
        preview: small JPEG, one row of the first variant's sheet.
        gallery: as `gallery_record` makes it.
        weights: of the factors of each variant's score.
        confusions: of the verbs of each variant, which found the annotated pairs.
        images: every image file that is shown.
    """

    runs: dict[str, RunRecords]
    sheets: dict[str, bytes]
    preview: bytes
    gallery: dict[str, Any]
    weights: dict[str, Mapping[str, float]]
    confusions: dict[str, Confusions]
    images: list[Path]


def make_report(
    split: ScoredSplit, variants: Mapping[str, Variant], report: ReportParams, done: Callable[[int], None]
) -> Report:
    """Make all parts of the report.

    Args:
        split: the test split; its `inputs` then name every file that was read, but the images.
        variants: rows of params.yaml by variant, with the overrides in its name, in the order in which they are shown.
        done: called with 1 after each variant, and after each image of a sheet and of the gallery.

    Raises:
        ArtifactError: a file is missing, damaged, or of other params than those of now.
        DataError: an image is missing or damaged.
    """
    manifest, inputs = split.manifest, split.inputs
    gallery_images = sample_indices(len(manifest), report.gallery_images)
    records = {name: read_run_records(inputs, name, variant.desc) for name, variant in variants.items()}
    scored: dict[str, ScoredRun] = {}
    weights: dict[str, Mapping[str, float]] = {}
    for name in variants:
        run = Run.parse(name)
        path = inputs.take(inputs.layout.detections(run), "evaluate", run)
        remedy = remedy_of("evaluate", inputs.layout, name)
        dump = open_matched(path, run=run.name, remedy=remedy)
        counted = records[name].metrics.counts.get("detections")
        if counted != len(dump):  # where there are manifests, their digests tell more
            raise ArtifactError(
                f"{inputs.layout.metrics(run)}: of {counted} detections, but {path} holds {len(dump)}; {remedy}"
            )
        if not records[name].metrics.at_break_even:
            raise ArtifactError(f"{inputs.layout.metrics(run)}: holds no types of errors; {remedy}")
        weights[name] = dump.weights
        scored[name] = read_scored(dump, split.annotated.truth, split.vocabulary.num_hois, gallery_images)
        done(1)
    refuse_other_params(inputs.chain.runs, inputs.layout.params)
    sheets = {name: draw_variant(name, run.best, split, report, done) for name, run in scored.items()}
    first, _ = compared(variants)
    row = draw_variant(first, scored[first].best, split, replace(report, num_images=TILES_PER_ROW), lambda _: None)
    gallery = gallery_record(scored, first, split, gallery_images, done)
    shown = set(gallery_images.tolist()).union(
        *(sample_indices(len(manifest), count).tolist() for count in (report.num_images, TILES_PER_ROW))
    )
    return Report(
        runs=records,
        sheets={name: png_bytes(sheet) for name, sheet in sheets.items()},
        preview=jpeg_bytes(preview(row)),
        gallery=gallery,
        weights=weights,
        confusions={
            name: count_confusions(run.best, split.annotated.truth, split.vocabulary) for name, run in scored.items()
        },
        images=[manifest.image_path(image, inputs.layout.root) for image in sorted(shown)],
    )


def read_run_records(inputs: StageInputs, name: str, desc: str) -> RunRecords:
    """Check and read all that `evaluate` and `train` left about a variant.

    Raises:
        ArtifactError: a file is missing or damaged; names the command that makes it.
    """
    layout, run = inputs.layout, Run.parse(name)
    evaluate = remedy_of("evaluate", layout, name)

    def taken(kind: Callable[[Run], Path]) -> Path:
        return inputs.take(kind(run), "evaluate", run)

    sweeps = _sweep_files(taken(layout.weight_sweeps), evaluate)
    log = inputs.take(layout.training_log(run), "train", run)
    return RunRecords(
        desc=desc,
        metrics=results.read_metrics(taken(layout.metrics), evaluate),
        per_class=results.read_per_class(taken(layout.per_class), evaluate),
        curves=results.read_mean_curves(taken(layout.precision_recall), evaluate),
        sweeps={path.stem: results.read_weight_sweep(path, evaluate) for path in sweeps},
        training=results.read_training_log(log, remedy_of("train", layout, name)),
    )


def _sweep_files(folder: Path, remedy: str) -> list[Path]:
    """A CSV file per factor."""
    if not (files := sorted(folder.glob("*.csv"))):
        fault = "holds no sweep" if folder.is_dir() else "does not exist"
        raise ArtifactError(f"{folder} {fault}; {remedy}")
    return files


def remedy_of(stage: str, layout: Layout, name: str) -> str:
    """What makes the files of a stage again, for messages."""
    return f'run "weakhoi {stage} --dataset {layout.dataset} --variant {shlex.quote(name)}"'
