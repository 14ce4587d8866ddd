"""`detect`: an off-the-shelf detector over every image of a split, to human and object proposals."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, device_option, progress, root_option, stage_command


@stage_command("detect", one_of=("split",), help="Write the proposals of one split (HDF5).")
@dataset_option
@click.option("--split", required=True, help="train, val or test.")
@device_option
@root_option
def command(dataset: str, split: str, device: str, root: Path) -> None:
    """Detect on all images, or take the proposals file that `detect.source` names."""
    import shutil

    from pipeline.core.layout import Layout
    from pipeline.core.params import load_params
    from pipeline.data.split import read_split
    from pipeline.detection.detectors import load_detector
    from pipeline.detection.leakage import leakage_warning
    from pipeline.detection.proposals import detect_split
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.proposals_file import read_proposals, write_proposals
    from pipeline.store.vocabulary_file import read_vocabulary
    from stages._device import open_device

    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset).detect
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    manifest = read_split(inputs.take(layout.split(split), "prepare"), vocabulary)
    if warning := leakage_warning(manifest.dataset, params.trained_on):
        click.echo(warning, err=True)
    work = layout.work("detect", split)
    if params.source is not None:
        source = root / params.source.format(split=split)
        if source == layout.imported_proposals(split):
            inputs.take(source, "import_proposals", split)
        elif source.exists():
            inputs.note(source)
        proposals = read_proposals(source, image_ids=manifest.image_ids, objects=vocabulary.objects)
    else:
        detector = load_detector(params, root=root)
        if (root / params.weights).exists():
            inputs.note(root / params.weights)
        with progress(len(manifest), f"detect {dataset} {split}") as advance:
            proposals = detect_split(
                detector,
                manifest,
                vocabulary,
                params,
                root=root,
                work=work,
                device=open_device(device),
                done=advance,
            )
    write_proposals(layout.proposals(split), proposals)
    write_stage_manifest(
        layout.stage_manifest("detect", split),
        root=root,
        stage="detect",
        arguments={"dataset": dataset, "split": split},
        inputs=inputs.digests,
        params={"detect": params},
        outputs=[layout.proposals(split)],
        counts={
            "images": len(manifest),
            "proposals": len(proposals.scores),
            "humans": int((proposals.object_ids == vocabulary.human_object_id).sum()),
        },
        seed=0,
    )
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    command()
