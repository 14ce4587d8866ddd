"""`evaluate`: a dump of raw logits and the ground truth, to metrics. Seconds of numpy, no network."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, root_option, run_options, scheduler_option, split_option, stage_command


@stage_command("evaluate", one_of=("variant", "seed", "split"), help="Fuse scores (eq. 3) and compute mAP.")
@dataset_option
@run_options
@split_option("val", "test", default="test")
@scheduler_option
@root_option
def command(dataset: str, variant: str, seed: int | None, split: str, scheduler: str | None, root: Path) -> None:
    """Write metrics, per-class AP, precision-recall curves and sweeps of weights of one run."""
    from pipeline.core.layout import Layout, run_name
    from pipeline.core.params import load_execution, load_params
    from pipeline.evaluation.summary import mean_curve_csv, per_class_csv
    from pipeline.evaluation.weight_sweep import sweep_csv
    from pipeline.store.cluster import connect
    from pipeline.store.files import atomic_path, write_json, write_text
    from pipeline.store.manifests import write_stage_manifest
    from stages._scored_run import ScoredSplit

    layout, run = Layout(root, dataset), run_name(variant, seed)
    params = load_params(layout.params, dataset, variant).evaluate
    scored = ScoredSplit.open(layout, split, seed)
    with connect(scheduler or load_execution(layout.params).scheduler) as client:
        row = scored.score(variant, params, client, sweep=True)
    name = layout.scored_run(run, split)
    outputs = [layout.metrics(name), layout.per_class(name), layout.precision_recall(name), layout.weight_sweeps(name)]
    write_json(outputs[0], {"dataset": dataset, "variant": variant, "split": split, **row.metrics})
    write_text(outputs[1], per_class_csv(row.result, scored.vocabulary, scored.annotated.train_instances))
    write_text(outputs[2], mean_curve_csv(row.result))
    with atomic_path(outputs[3]) as folder:
        folder.mkdir()
        for factor, results in row.sweeps.items():
            write_text(folder / f"{factor}.csv", sweep_csv(results, params.weights.get(factor, 1.0)))
    write_stage_manifest(
        layout.stage_manifest("evaluate", name),
        root=root,
        stage="evaluate",
        arguments={"dataset": dataset, "variant": variant, "split": split}
        | ({} if seed is None else {"seed": str(seed)}),
        inputs=scored.inputs.digests,
        params={"evaluate": params},
        outputs=outputs,
        counts=row.metrics["counts"],
        seed=0,
    )
    click.echo(f"{name}: {row.headline}")


if __name__ == "__main__":
    command()
