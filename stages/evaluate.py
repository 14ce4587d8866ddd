"""`evaluate`: a dump of raw logits and the ground truth, to metrics and matched detections. Takes seconds, in numpy."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.scored_split import WITHOUT_BOXES, ScoredSplit
from pipeline.evaluation.summary import headline, mean_curve_csv, per_class_csv
from pipeline.evaluation.weight_sweep import sweep_csv
from pipeline.store.cluster import connect
from pipeline.store.files import atomic_path, write_json, write_text
from pipeline.store.stage_run import StageRun
from stages._command import (
    boxes_option,
    dataset_option,
    root_option,
    run_options,
    scheduler_option,
    split_option,
    stage_command,
)


@stage_command("evaluate", help="Fuse scores (eq. 3) and compute mAP.")
@dataset_option
@run_options
@split_option("val", "test", default="test")
@boxes_option
@scheduler_option
@root_option
def command(
    dataset: str,
    variant: str,
    seed: int | None,
    split: str,
    annotated_boxes: bool,
    scheduler: str | None,
    root: Path,
) -> None:
    """Write metrics, per-class AP, precision-recall curves, sweeps of weights and matched detections of one run."""
    layout, run = Layout(root, dataset), Run.parse(variant, seed=seed, split=split, annotated_boxes=annotated_boxes)
    with StageRun("evaluate", layout, run) as stage:
        params = stage.params(EvaluateParams)
        scored = ScoredSplit.open(stage.inputs, split, may_lack_boxes=True)
        groups = scored.groups(params)
        with connect(scheduler) as client:
            row = scored.score(run, params, client, in_full=True)
        boxes = {"boxes": "annotated"} if annotated_boxes else {}
        metrics = {"dataset": dataset, "variant": variant, "split": split, **boxes, **row.metrics}
        write_json(layout.metrics(run), metrics)
        write_json(layout.headline(run), headline(metrics))
        instances = scored.annotated.train_instances
        per_class = per_class_csv(row.result, row.errors, scored.vocabulary, instances, groups)
        write_text(layout.per_class(run), per_class)
        write_text(layout.precision_recall(run), mean_curve_csv(row.result, groups))
        with atomic_path(layout.weight_sweeps(run)) as folder:
            folder.mkdir()
            for factor, results in row.sweeps.items():
                write_text(folder / f"{factor}.csv", sweep_csv(results, groups, params.weights.get(factor, 1.0)))
        row.write_detections(layout.detections(run), run.source_name, len(scored.manifest))
        outputs = [layout.metrics(run), layout.headline(run), layout.per_class(run), layout.precision_recall(run)]
        stage.finish([*outputs, layout.weight_sweeps(run), layout.detections(run)], row.metrics["counts"])
    line = row.headline_text if scored.annotated.has_boxes else WITHOUT_BOXES.format(split=split)
    of_images = row.metrics.get("image_level", {}).get("full")
    click.echo(f"{run.scored_name}: {line}" + ("" if of_images is None else f"; mAP of images {of_images:.2f}"))


if __name__ == "__main__":
    command()
