"""`represent`: a checkpoint over a split's images and proposals, to pair representations and the learned bank."""

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


@stage_command(
    "represent",
    one_of=("variant", "seed", "split"),
    help="Write the representations of a split's best-detected pairs (HDF5).",
)
@dataset_option
@run_options
@split_option(default="test")
@device_option
@scheduler_option
@root_option
def command(
    dataset: str, variant: str, seed: int | None, split: str, device: str, scheduler: str | None, root: Path
) -> None:
    """Run the network over every image of the split and keep what `tsne` draws."""
    import shutil

    from pipeline.core.layout import Layout
    from pipeline.core.params import load_execution, load_params
    from pipeline.inference.represent_split import representation_columns
    from pipeline.store.engine import run_parts
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.representations_file import write_representations
    from stages._split_run import RepresentRecipe, SplitRun

    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset, variant)
    execution = load_execution(layout.params)
    run = SplitRun(root, dataset, variant, seed, split, device, execution.channels_last)
    recipe = RepresentRecipe(run, params.represent, params.infer)
    opened, parts = run_parts(
        recipe,
        progress=partial(progress, label=f"represent {run.name} {split}"),
        tell=partial(click.echo, err=True),
        scheduler=scheduler,
        threads=execution.decode_threads,
    )
    columns = representation_columns(parts, opened, run=run.name)
    output, num_pairs = layout.representations(run.name, split), len(columns["object_ids"])
    write_representations(output, image_ids=opened.bags.manifest.image_ids, run=run.name, **columns)
    write_stage_manifest(
        layout.stage_manifest("represent", run.name, split),
        root=root,
        stage="represent",
        arguments=run.arguments,
        inputs=opened.inputs,
        params={"infer": params.infer, "represent": params.represent},
        outputs=[output],
        counts={"images": opened.num_images, "pairs": num_pairs},
        seed=0,
    )
    shutil.rmtree(recipe.folder, ignore_errors=True)
    click.echo(f"{output}: {num_pairs} pairs of {opened.num_images} images")


if __name__ == "__main__":
    command()
