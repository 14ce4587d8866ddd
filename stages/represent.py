"""`represent`: a checkpoint over a split's images and proposals, to pair representations and the learned bank."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.config.run import Run
from pipeline.inference.jobs import RepresentJob, SplitRun
from pipeline.inference.params import InferParams, RepresentParams
from pipeline.inference.represent_split import representation_columns
from pipeline.store.representations_file import write_representations
from pipeline.store.stage_run import StageRun
from stages._command import (
    dataset_option,
    device_option,
    root_option,
    run_options,
    scheduler_option,
    split_option,
    stage_command,
)
from stages._parts import run_job


@stage_command("represent", help="Write the representations of a split's best-detected pairs (HDF5).")
@dataset_option
@run_options
@split_option(default="test")
@device_option
@scheduler_option
@root_option
def command(
    dataset: str, variant: str, seed: int | None, split: str, device: str, scheduler: str | None, root: Path
) -> None:
    """Run the network over every image of the split and keep what `tsne` draws."""
    layout, run = Layout(root, dataset), Run.parse(variant, seed=seed, split=split)
    with StageRun("represent", layout, run) as stage:
        split_run = SplitRun(layout, run, device, load_execution(layout.params).channels_last)
        batches, params = stage.params(InferParams), stage.params(RepresentParams)
        job = RepresentJob(split_run, params, batches)
        opened, parts = run_job(job, stage, scheduler)
        stage.inputs.digests.update(opened.inputs)
        columns = representation_columns(parts, opened, run=run.name)
        output, num_pairs = layout.representations(run), len(columns["object_ids"])
        write_representations(output, image_ids=opened.bags.manifest.image_ids, run=run.name, **columns)
        stage.finish([output], {"images": opened.num_images, "pairs": num_pairs})
    click.echo(f"{output}: {num_pairs} pairs of {opened.num_images} images")


if __name__ == "__main__":
    command()
