"""`export`: the detections of a run in the form that a dataset's own evaluator reads."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.data.split import take_split
from pipeline.evaluation.exchange import left_out
from pipeline.evaluation.exchange_hicodet import write_hicodet_mat
from pipeline.evaluation.exchange_vcoco import on_people, write_vcoco_pickle
from pipeline.evaluation.role_detections import RoleDetections
from pipeline.store.detections_dump import open_matched
from pipeline.store.inputs import StageInputs
from pipeline.truth.vcoco_people_file import read_people
from stages._command import dataset_option, progress, root_option, run_options, say, split_option, stage_command


@stage_command(
    "export", help="Write a run's detections for the official MATLAB (HICO-DET) or Python (V-COCO) evaluator."
)
@dataset_option
@run_options
@split_option(default="test")
@click.option(
    "--format",
    "form",
    type=click.Choice(["hicodet-mat", "vcoco-pickle"]),
    required=True,
    help="hicodet-mat: a folder of detections_NN.mat, one per object; vcoco-pickle: one file for vsrl_eval.py.",
)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The folder or file to write.")
@root_option
def command(dataset: str, variant: str, seed: int | None, split: str, form: str, output: Path, root: Path) -> None:
    """Write the detections that `evaluate` left."""
    layout, run = Layout(root, dataset), Run.parse(variant, seed=seed, split=split)
    inputs = StageInputs(layout)
    vocabulary, manifest = take_split(inputs, split)
    remedy = f'run "weakhoi evaluate --dataset {dataset} {run.options}"'
    detections = open_matched(inputs.take(layout.detections(run), "evaluate", run), run=run.name, remedy=remedy).read()
    if form == "vcoco-pickle":
        people = read_people(inputs.take(layout.people(split), "prepare"), manifest)
        found = RoleDetections.of_triplets(detections, vocabulary, people)
        kept = on_people(found, people)
        rows = write_vcoco_pickle(output, kept, people)
        click.echo(f"{output}: {rows} pairs of {len(manifest)} images")
        for note in left_out(len(found) - len(kept)):
            say(f"Note: {note}")
        return
    with progress(80, "export", unit="file") as advance:
        write_hicodet_mat(output, detections, vocabulary, len(manifest), advance)
    click.echo(f"{output}: {len(detections)} detections of {len(manifest)} images, a file per object category")


if __name__ == "__main__":
    command()
