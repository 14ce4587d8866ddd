"""`report`: metrics, dumps and test images to tables, figures, sheets of pictures, and one HTML page with a gallery."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import Variant, load_run_variants, load_variants
from pipeline.config.sections import plain
from pipeline.evaluation.scored_split import WITHOUT_BOXES, ScoredSplit
from pipeline.report.committed import code_commit
from pipeline.report.folder import further_figures, write_report
from pipeline.report.make import make_report
from pipeline.report.params import ReportParams
from pipeline.report.provenance import provenance
from pipeline.report.results import read_study
from pipeline.report.study import ablations_html
from pipeline.report.unscored import make_unscored, write_unscored
from pipeline.report.unseen import whole_rows
from pipeline.store.files import write_bytes
from pipeline.store.run_params import shown_rows
from pipeline.store.stage_run import StageRun
from stages._command import dataset_option, progress, root_option, split_names, stage_command


@stage_command("report", help="Draw the results: tables, figures, test images with detections, one HTML page.")
@dataset_option
@click.option(
    "--variant",
    "variants",
    multiple=True,
    show_default="run_variants of params.yaml",
    help="A row of params.yaml: variants; repeat, or separate by commas.",
)
@click.option("--commit", show_default="its git commit", help="What the page says of the code.")
@root_option
def command(dataset: str, variants: tuple[str, ...], commit: str | None, root: Path) -> None:
    """Write the report folder of a dataset."""
    layout = Layout(root, dataset)
    names = split_names(variants) or load_run_variants(layout.params)
    commit = code_commit() if commit is None else commit
    with StageRun("report", layout, None, {"variant": ",".join(names), "commit": commit}) as stage:
        params = stage.params(ReportParams)
        rows = shown_rows(names, load_variants(layout.params))
        stage.sections["variants"] = {name: plain(row) for name, row in rows.items()}
        split = ScoredSplit.open(stage.inputs, "test", may_lack_boxes=True)
        num_images = min(len(split.manifest), params.gallery_images)
        if not split.annotated.has_boxes:
            _without_boxes(stage, layout, split, rows, params, num_images, commit)
            return
        steps = num_images + len(names) * (min(len(split.manifest), params.num_images) + 1)
        with progress(steps, "report") as advance:
            report = make_report(split, rows, params, advance)

        # Shown where they exist. They are no DVC dependencies: DVC has no optional ones, and `dvc repro` must not run
        # the studies that make them, which take hours. The manifest records them, so `weakhoi verify` sees a change.
        ablations = [layout.ablations("csv")] if layout.ablations("csv").is_file() else []
        study = sorted(layout.studies.glob("*.json"))
        figures = further_figures(layout.figures)
        tables = "".join(ablations_html(path, "make the table again, or remove it") for path in ablations)
        facts = {"commit": commit or "none"} | provenance(split, report.weights)
        write_report(
            layout.report,
            dataset,
            report,
            facts=facts,
            study=whole_rows(read_study(layout.studies)),
            ablations=tables,
            further=figures,
        )
        write_bytes(layout.examples, report.preview)
        stage.note(*report.images, *ablations, *study, *figures)
        stage.finish([layout.report, layout.examples], {"variants": len(names), "images": num_images})
    click.echo(f"{layout.report / 'index.html'}: {', '.join(names)} on {num_images} of {len(split.manifest)} images")


def _without_boxes(
    stage: StageRun,
    layout: Layout,
    split: ScoredSplit,
    rows: dict[str, Variant],
    params: ReportParams,
    num_images: int,
    commit: str | None,
) -> None:
    """Write the report of a test split that has image-level labels alone."""
    with progress(num_images * len(rows), "report") as advance:
        report = make_unscored(split, rows, params, advance)
    write_unscored(layout.report, split, report, {"commit": commit or "none"} | provenance(split, report.weights))
    write_bytes(layout.examples, report.preview)
    stage.note(*report.images)
    stage.finish([layout.report, layout.examples], {"variants": len(rows), "images": num_images})
    click.echo(f"{layout.report / 'index.html'}: {WITHOUT_BOXES.format(split='test')}")


if __name__ == "__main__":
    command()
