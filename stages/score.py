"""`score`: one seeded run of a study to the test metrics of every row that is scored from it."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_params, load_variants
from pipeline.config.run import Run
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.store.cluster import connect
from pipeline.store.files import write_json
from pipeline.store.stage_run import StageRun
from stages._command import RUN_SEED, dataset_option, root_option, scheduler_option, stage_command


@stage_command("score", help="Score every row of params.yaml: variants that shares a seeded run.")
@dataset_option
@click.option("--variant", required=True, help="The row that was trained.")
@click.option("--seed", type=RUN_SEED, required=True, help="Its seed.")
@scheduler_option
@root_option
def command(dataset: str, variant: str, seed: int, scheduler: str | None, root: Path) -> None:
    """Write the metrics of the row, and of the rows whose `run` it is, as one JSON file."""
    layout, run = Layout(root, dataset), Run.parse(variant, seed=seed)
    with StageRun("score", layout, run) as stage:
        names = [variant, *(name for name, row in load_variants(layout.params).items() if row.run == variant)]
        own = {name: load_params(layout.params, dataset, Run.parse(name))[EvaluateParams] for name in names}
        scored, rows = ScoredSplit.open(stage.inputs, "test"), {}
        with connect(scheduler) as client:
            for name, params in own.items():
                row = scored.score(run, params, client)
                rows[name] = row.metrics
                click.echo(f"{name}-{seed}: {row.headline_text}")
        write_json(layout.study(run), {"dataset": dataset, "run": variant, "seed": seed, "rows": rows})


if __name__ == "__main__":
    command()
