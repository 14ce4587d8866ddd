"""`score`: one seeded run of a study to the test metrics of every row that is scored from it."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, root_option, stage_command


@stage_command(
    "score", one_of=("variant", "seed"), help="Score every row of params.yaml: variants that shares a seeded run."
)
@dataset_option
@click.option("--variant", required=True, help="The row that was trained.")
@click.option("--seed", type=int, required=True, help="Its seed.")
@root_option
def command(dataset: str, variant: str, seed: int, root: Path) -> None:
    """Write the metrics of the row, and of the rows whose `run` it is, as one JSON file."""
    from pipeline.core.layout import Layout, run_name
    from pipeline.core.params import load_params, load_variants
    from pipeline.data.ground_truth_file import read_ground_truth
    from pipeline.data.split import read_split
    from pipeline.data.vcoco_people_file import read_people
    from pipeline.evaluation.row import score_dump
    from pipeline.store.dump import read_dump
    from pipeline.store.files import write_json
    from pipeline.store.inputs import StageInputs
    from pipeline.store.vocabulary_file import read_vocabulary

    layout = Layout(root, dataset)
    names = [variant, *(name for name, row in load_variants(layout.params).items() if row.run == variant)]
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    manifest = read_split(inputs.take(layout.split("test"), "prepare"), vocabulary)
    annotated = read_ground_truth(inputs.take(layout.ground_truth("test"), "prepare"), manifest, vocabulary.num_hois)
    run = run_name(variant, seed)
    predictions = inputs.take(layout.predictions(run), "infer", run, "test")
    dump = read_dump(predictions, vocabulary=vocabulary, image_ids=manifest.image_ids)
    rows = {}
    for name in names:
        params = load_params(layout.params, dataset, name).evaluate
        people = None
        if params.protocol == "vcoco":
            people = read_people(inputs.take(layout.people("test"), "prepare"), manifest)
        times = None
        if params.times_run is not None:
            factor = run_name(params.times_run, seed)
            predictions = inputs.take(layout.predictions(factor), "infer", factor, "test")
            times = read_dump(predictions, vocabulary=vocabulary, image_ids=manifest.image_ids)
        row = score_dump(dump, params, annotated.truth, annotated.rare, people=people, times=times)
        rows[name] = row.metrics
        click.echo(f"{name}-{seed}: {row.headline}")
    write_json(layout.study(variant, seed), {"dataset": dataset, "run": variant, "seed": seed, "rows": rows})


if __name__ == "__main__":
    command()
