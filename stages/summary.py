"""`summary`: the results on disk as tables on the terminal: run variants, studies over seeds, parameter searches."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_params, load_run_variants, load_variants
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.report.backbones import BACKBONES_TEXT, backbones_table
from pipeline.report.boxes_curve import BOXES_TEXT, boxes_plot, boxes_rows, boxes_table
from pipeline.report.committed import differences_line
from pipeline.report.methods import METHODS_TEXT, methods_table, read_costs
from pipeline.report.results import read_metrics, read_study, read_tuning
from pipeline.report.study import rows_csv, study_page
from pipeline.report.supervision import SUPERVISION_TEXT, read_label_quality, supervision_table
from pipeline.report.table import tuning_markdown, variants_markdown
from pipeline.report.terminal import fitted
from pipeline.report.unseen import UNSEEN_TEXT, unseen_table, whole_rows
from pipeline.store.files import write_bytes, write_text
from pipeline.store.image_labels_file import COMMANDS
from pipeline.store.inputs import StageInputs
from pipeline.store.run_params import refuse_other_params
from pipeline.training.params import TrainParams
from stages._command import dataset_option, root_option, stage_command


@stage_command("summary", help="Print the result tables of a dataset, and where the pictures are.")
@dataset_option
@click.option(
    "--write", is_flag=True, help="Also write the study to results/<dataset>: ablations.md and .csv, figures/boxes.png."
)
@root_option
def command(dataset: str, write: bool, root: Path) -> None:
    """Print the tables; with --write, also write the study's."""
    layout = Layout(root, dataset)
    load_params(layout.params, dataset)
    names = load_run_variants(layout.params)
    descriptions = {name: row.desc for name, row in load_variants(layout.params).items()}
    inputs = StageInputs(layout)
    runs = [
        read_metrics(
            inputs.take(layout.metrics(Run(name)), "evaluate", Run(name)),
            f'run "weakhoi evaluate --dataset {dataset} --variant {name}"',
        )
        for name in names
    ]
    refuse_other_params(inputs.chain.runs, layout.params)
    _show(variants_markdown(runs, descriptions))

    every = read_study(layout.studies)
    study, page = whole_rows(every), ""
    if every:
        params = {name: load_params(layout.params, dataset, Run(name))[TrainParams] for name in boxes_rows(study)}
        shares = {name: train.share_of_boxes for name, train in params.items()}
        quality = {source: read_label_quality(layout.label_quality(source)) for source in COMMANDS}
        further = {
            METHODS_TEXT: methods_table(study, read_costs(layout.costs)),
            BOXES_TEXT: boxes_table(study, shares),
            UNSEEN_TEXT: unseen_table(every),
            SUPERVISION_TEXT: supervision_table(study, quality),
            BACKBONES_TEXT: backbones_table(study),
        }
        page = study_page(study, descriptions, f"Ablations: {dataset}", further)
        _show(page)
    if tuning := read_tuning(layout.tuning):
        _show(f"# Parameter search: {dataset}\n\n{tuning_markdown(tuning)}")
    if write:
        if not page:
            raise ArtifactError(
                f"{layout.studies} holds no metrics of a study; run weakhoi train, infer and score "
                f'with "--dataset {dataset} --variant ours --seed 1" and further variants and seeds'
            )
        for suffix, text in (("md", page), ("csv", rows_csv(study, descriptions))):
            write_text(layout.ablations(suffix), text)
            click.echo(f"{layout.ablations(suffix)}: written")
        if shares:
            write_bytes(layout.boxes_plot, boxes_plot(study, shares))
            click.echo(f"{layout.boxes_plot}: written")
    index = layout.report / "index.html"
    if line := differences_line(layout.root, layout.headline(Run("any")).parent):
        click.echo(line)
    click.echo(f"Pictures: {index}" if index.exists() else f"Pictures: none; weakhoi report --dataset {dataset}")


def _show(page: str) -> None:
    """Print Markdown: as it is into a file or a program, and as wide as the terminal on one."""
    click.echo(fitted(page, shutil.get_terminal_size().columns) if sys.stdout.isatty() else page)


if __name__ == "__main__":
    command()
