"""`infer`: a checkpoint over a split's images and proposals, to a dump of raw logits."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from stages._command import (
    dataset_option,
    device_option,
    progress,
    root_option,
    run_options,
    scheduler_option,
    split_option,
    stage_command,
)


@stage_command("infer", one_of=("variant", "seed", "split"), help="Write the raw pair logits of a split (zarr).")
@dataset_option
@run_options
@split_option(default="test")
@device_option
@scheduler_option
@root_option
def command(
    dataset: str, variant: str, seed: int | None, split: str, device: str, scheduler: str | None, root: Path
) -> None:
    """Run the network over every image of the split."""
    import shutil

    from pipeline.core.layout import Layout
    from pipeline.core.params import load_execution, load_params
    from pipeline.inference.pair_outputs import dump_columns
    from pipeline.store.dump import write_dump
    from pipeline.store.engine import run_parts
    from pipeline.store.manifests import write_stage_manifest
    from stages._split_run import InferRecipe, SplitRun

    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset, variant).infer
    execution = load_execution(layout.params)
    run = SplitRun(root, dataset, variant, seed, split, device, execution.channels_last)
    recipe = InferRecipe(run, params)
    opened, parts = run_parts(
        recipe,
        progress=partial(progress, label=f"infer {run.name} {split}"),
        tell=partial(click.echo, err=True),
        scheduler=scheduler,
        threads=execution.decode_threads,
    )
    columns = dump_columns(opened.model.method.columns, parts.column)
    write_dump(
        layout.predictions(run.name, split),
        vocabulary=opened.vocabulary,
        image_ids=opened.bags.manifest.image_ids,
        variant=run.name,
        **columns,
    )
    write_stage_manifest(
        layout.stage_manifest("infer", run.name, split),
        root=root,
        stage="infer",
        arguments=run.arguments,
        inputs=opened.inputs,
        params={"infer": params},
        outputs=[layout.predictions(run.name, split)],
        counts={"images": opened.num_images, "pairs": len(columns["human_index"])},
        seed=0,
    )
    shutil.rmtree(recipe.folder, ignore_errors=True)


if __name__ == "__main__":
    command()
