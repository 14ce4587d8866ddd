"""`report`: metrics, dumps and test images to a table, curves, a sheet of pictures per variant, and one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, progress, root_option, stage_command


@stage_command("report", help="Draw the results: table, curves, test images with detections, one HTML page.")
@dataset_option
@click.option("--variant", "variants", multiple=True, help="Repeat, or separate by commas; default: run_variants.")
@root_option
def command(dataset: str, variants: tuple[str, ...], root: Path) -> None:
    """Write the report folder of a dataset."""
    import dataclasses

    from pipeline.core.layout import Layout
    from pipeline.core.params import load_params, load_run_variants, load_variants
    from pipeline.data.ground_truth_file import read_ground_truth
    from pipeline.data.split import read_split
    from pipeline.report import results
    from pipeline.report.folder import RunRecords, compared, write_report
    from pipeline.report.gallery import draw_variant
    from pipeline.report.selection import sample_indices
    from pipeline.store.dump import read_dump
    from pipeline.store.files import atomic_path
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.vocabulary_file import read_vocabulary

    layout = Layout(root, dataset)
    names = tuple(name for text in variants for name in text.split(",")) or load_run_variants(layout.params)
    params = load_params(layout.params, dataset)
    own = {name: load_params(layout.params, dataset, name).evaluate for name in names}
    rows = {name: load_variants(layout.params)[name.split("+")[0]] for name in names}
    vocabulary = read_vocabulary(layout.vocabulary)
    manifest = read_split(layout.split("test"), vocabulary)
    annotated = read_ground_truth(layout.ground_truth("test"), manifest, vocabulary.num_hois)
    shown = sample_indices(len(manifest), params.report.num_images).tolist()
    runs, inputs = {}, [layout.vocabulary, layout.split("test"), layout.ground_truth("test")]
    inputs += [manifest.image_path(image, root) for image in shown]
    with progress(len(shown) * len(names), "report") as advance:
        for name in names:
            evaluate, train = (
                f'run "weakhoi {stage} --dataset {dataset} --variant {name}"' for stage in ("evaluate", "train")
            )
            records = RunRecords(
                desc=rows[name].desc,
                metrics=results.read_metrics(layout.metrics(name), evaluate),
                per_class=results.read_per_class(layout.per_class(name), evaluate),
                curves=results.read_mean_curves(layout.precision_recall(name), evaluate),
                training=results.read_training_log(layout.training_log(name), train),
            )
            dump = read_dump(layout.predictions(name), vocabulary=vocabulary, image_ids=manifest.image_ids)
            sheet = draw_variant(
                name, dump, annotated, manifest, vocabulary, own[name], params.report, root=root, done=advance
            )
            results.check_metrics(layout.metrics(name), records.metrics, sheet.metrics, evaluate)
            runs[name] = (records, sheet)
            inputs += [layout.metrics(name), layout.per_class(name), layout.precision_recall(name)]
            inputs += [layout.training_log(name), layout.predictions(name)]
    write_report(layout.report, dataset, runs)
    with atomic_path(layout.examples) as temporary:
        temporary.write_bytes(runs[compared(list(names))[0]][1].preview)
    write_stage_manifest(
        layout.stage_manifest("report"),
        root=root,
        stage="report",
        arguments={"dataset": dataset, "variant": ",".join(names)},
        inputs=inputs,
        params={
            "report": params.report,
            "evaluate": params.evaluate,
            "variants": {
                name: dataclasses.asdict(dataclasses.replace(row, model={}, train={})) for name, row in rows.items()
            },
        },
        outputs=[layout.report, layout.examples],
        counts={"variants": len(names), "images": len(shown)},
        seed=0,
    )
    click.echo(f"{layout.report / 'index.html'}: {', '.join(names)} on {len(shown)} of {len(manifest)} test images")


if __name__ == "__main__":
    command()
