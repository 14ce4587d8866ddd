"""`detect`: an off-the-shelf detector over every image of a split, to human and object proposals."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from stages._command import (
    dataset_option,
    device_option,
    progress,
    root_option,
    scheduler_option,
    split_option,
    stage_command,
)


@stage_command("detect", one_of=("split",), help="Write the proposals of one split (HDF5).")
@dataset_option
@split_option()
@device_option
@scheduler_option
@root_option
def command(dataset: str, split: str, device: str, scheduler: str | None, root: Path) -> None:
    """Detect on all images, or take the proposals file that `detect.source` names."""
    import shutil

    from pipeline.core.boxes import has_extent
    from pipeline.core.layout import Layout
    from pipeline.core.params import load_execution, load_params
    from pipeline.data.split import read_split
    from pipeline.detection.detectors import detector_files
    from pipeline.detection.handed_over import files_handed_over, read_handed_over
    from pipeline.detection.leakage import leakage_warning
    from pipeline.detection.proposals import count_humans, proposal_columns
    from pipeline.store.engine import run_parts
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.proposals_file import write_proposals
    from pipeline.store.vocabulary_file import read_vocabulary
    from stages._detect_run import DetectRecipe

    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset).detect
    execution = load_execution(layout.params)
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    manifest = read_split(inputs.take(layout.split(split), "prepare"), vocabulary)
    if warning := leakage_warning(manifest.dataset, params.trained_on):
        click.echo(warning, err=True)
    if params.source is not None:
        source = root / params.source.format(split=split)
        if source == layout.imported_proposals(split):
            inputs.take(source, "import_proposals", split)
        for path in files_handed_over(source, split):
            inputs.note(path)
        given = read_handed_over(source, layout.split(split), manifest, vocabulary)
        proposals = given.kept(has_extent(given.boxes))
        if dropped := len(given.scores) - len(proposals.scores):
            click.echo(f"{source}: {dropped} boxes without width or height are left out", err=True)
        write_proposals(layout.proposals(split), **vars(proposals))
        num_proposals = len(proposals.scores)
        num_humans = int((proposals.object_ids == vocabulary.human_object_id).sum())
    else:
        for path in detector_files(params, root=root):
            inputs.note(path)
        opened, parts = run_parts(
            DetectRecipe(root, dataset, split, params, device, execution.channels_last),
            progress=partial(progress, label=f"detect {dataset} {split}"),
            tell=partial(click.echo, err=True),
            scheduler=scheduler,
            threads=execution.decode_threads,
        )
        columns = proposal_columns(parts)
        num_proposals, num_humans = len(columns["scores"]), count_humans(columns["object_ids"], opened)
        write_proposals(
            layout.proposals(split),
            image_ids=manifest.image_ids,
            objects=vocabulary.objects,
            detector=opened.detector_name,
            **columns,
        )
    write_stage_manifest(
        layout.stage_manifest("detect", split),
        root=root,
        stage="detect",
        arguments={"dataset": dataset, "split": split},
        inputs=inputs.digests,
        params={"detect": params},
        outputs=[layout.proposals(split)],
        counts={"images": len(manifest), "proposals": num_proposals, "humans": num_humans},
        seed=0,
    )
    shutil.rmtree(layout.work("detect", split), ignore_errors=True)


if __name__ == "__main__":
    command()
