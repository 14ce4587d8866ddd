"""`score`: one seeded run of a study to the test metrics of every row that is scored from it."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, root_option, stage_command


@stage_command("score", help="Score every row of params.yaml: variants that shares a seeded run.")
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
    from pipeline.store.vocabulary_file import read_vocabulary

    layout = Layout(root, dataset)
    names = [variant, *(name for name, row in load_variants(layout.params).items() if row.run == variant)]
    vocabulary = read_vocabulary(layout.vocabulary)
    manifest = read_split(layout.split("test"), vocabulary)
    annotated = read_ground_truth(layout.ground_truth("test"), manifest, vocabulary.num_hois)
    dump = read_dump(layout.predictions(run_name(variant, seed)), vocabulary=vocabulary, image_ids=manifest.image_ids)
    rows = {}
    for name in names:
        params = load_params(layout.params, dataset, name).evaluate
        people = read_people(layout.people("test"), manifest) if params.protocol == "vcoco" else None
        times = None
        if params.times_run is not None:
            path = layout.predictions(run_name(params.times_run, seed))
            times = read_dump(path, vocabulary=vocabulary, image_ids=manifest.image_ids)
        row = score_dump(dump, params, annotated.truth, annotated.rare, people=people, times=times)
        rows[name] = row.metrics
        click.echo(f"{name}-{seed}: {row.headline}")
    write_json(layout.study(variant, seed), {"dataset": dataset, "run": variant, "seed": seed, "rows": rows})


if __name__ == "__main__":
    command()
