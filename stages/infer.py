"""`infer`: a checkpoint over a split's images and proposals, to a dump of raw logits."""

from __future__ import annotations

from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.config.run import Run
from pipeline.inference.jobs import InferJob, SplitRun
from pipeline.inference.pair_outputs import dump_columns
from pipeline.inference.params import InferParams
from pipeline.store.dump import write_dump
from pipeline.store.stage_run import StageRun
from stages._command import (
    boxes_option,
    dataset_option,
    device_option,
    root_option,
    run_options,
    scheduler_option,
    split_option,
    stage_command,
)
from stages._parts import run_job


@stage_command("infer", help="Write the raw pair logits of a split (zarr).")
@dataset_option
@run_options
@split_option(default="test")
@device_option
@boxes_option
@scheduler_option
@root_option
def command(
    dataset: str,
    variant: str,
    seed: int | None,
    split: str,
    device: str,
    annotated_boxes: bool,
    scheduler: str | None,
    root: Path,
) -> None:
    """Run the network over every image of the split."""
    layout, run = Layout(root, dataset), Run.parse(variant, seed=seed, split=split, annotated_boxes=annotated_boxes)
    with StageRun("infer", layout, run) as stage:
        split_run = SplitRun(layout, run, device, load_execution(layout.params).channels_last)
        opened, parts = run_job(InferJob(split_run, stage.params(InferParams)), stage, scheduler)
        stage.inputs.digests.update(opened.inputs)
        columns = dump_columns(opened.model.method.columns, parts.column)
        write_dump(
            layout.predictions(run),
            vocabulary=opened.vocabulary,
            image_ids=opened.bags.manifest.image_ids,
            variant=run.source_name,
            **columns,
        )
        stage.finish([layout.predictions(run)], {"images": opened.num_images, "pairs": len(columns["human_index"])})


if __name__ == "__main__":
    command()
