"""`evaluate`: a dump of raw logits and the ground truth, to metrics. Seconds of numpy, no network."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, root_option, run_options, stage_command


@stage_command("evaluate", one_of=("variant", "seed", "split"), help="Fuse scores (eq. 3) and compute mAP.")
@dataset_option
@run_options
@click.option("--split", default="test", show_default=True, help="val or test.")
@root_option
def command(dataset: str, variant: str, seed: int | None, split: str, root: Path) -> None:
    """Write metrics, per-class AP, precision-recall curves and a sweep of gamma of one run."""
    from pipeline.core.layout import Layout, run_name
    from pipeline.core.params import load_params
    from pipeline.data.ground_truth_file import read_ground_truth
    from pipeline.data.split import read_split
    from pipeline.data.vcoco_people_file import read_people
    from pipeline.evaluation.gamma import gamma_csv, sweep_gamma
    from pipeline.evaluation.row import score_dump
    from pipeline.evaluation.summary import mean_curve_csv, per_class_csv
    from pipeline.store.dump import read_dump
    from pipeline.store.files import write_json, write_text
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.vocabulary_file import read_vocabulary

    layout, run = Layout(root, dataset), run_name(variant, seed)
    params = load_params(layout.params, dataset, variant).evaluate
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    manifest = read_split(inputs.take(layout.split(split), "prepare"), vocabulary)
    annotated = read_ground_truth(inputs.take(layout.ground_truth(split), "prepare"), manifest, vocabulary.num_hois)
    predictions = inputs.take(layout.predictions(run, split), "infer", run, split)
    dump = read_dump(predictions, vocabulary=vocabulary, image_ids=manifest.image_ids)
    people, times = None, None
    if params.protocol == "vcoco":
        people = read_people(inputs.take(layout.people(split), "prepare"), manifest)
    if params.times_run is not None:
        factor = run_name(params.times_run, seed)
        predictions = inputs.take(layout.predictions(factor, split), "infer", factor, split)
        times = read_dump(predictions, vocabulary=vocabulary, image_ids=manifest.image_ids)
    row = score_dump(dump, params, annotated.truth, annotated.rare, people=people, times=times)
    name = layout.scored_run(run, split)
    outputs = [layout.metrics(name), layout.per_class(name), layout.precision_recall(name), layout.gamma_sweep(name)]
    write_json(outputs[0], {"dataset": dataset, "variant": variant, "split": split, **row.metrics})
    write_text(outputs[1], per_class_csv(row.result, vocabulary, annotated.train_instances))
    write_text(outputs[2], mean_curve_csv(row.result))
    sweep = sweep_gamma(dump, params, annotated.truth, annotated.rare, times)
    write_text(outputs[3], gamma_csv(sweep, params.gamma))
    write_stage_manifest(
        layout.stage_manifest("evaluate", name),
        root=root,
        stage="evaluate",
        arguments={"dataset": dataset, "variant": variant, "split": split}
        | ({} if seed is None else {"seed": str(seed)}),
        inputs=inputs.digests,
        params={"evaluate": params},
        outputs=outputs,
        counts=row.metrics["counts"],
        seed=0,
    )
    click.echo(f"{name}: {row.headline}")


if __name__ == "__main__":
    command()
