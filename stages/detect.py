"""`detect`: an off-the-shelf detector over every image of a split, to human and object proposals."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, device_option, progress, root_option, stage_command


@stage_command("detect", help="Write the proposals of one split (HDF5).")
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
    from pipeline.detection.handed_over import files_handed_over, read_handed_over
    from pipeline.detection.leakage import leakage_warning
    from pipeline.detection.proposals import detect_split
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.proposals_file import write_proposals
    from pipeline.store.vocabulary_file import read_vocabulary
    from stages._device import open_device

    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset).detect
    vocabulary = read_vocabulary(layout.vocabulary)
    manifest = read_split(layout.split(split), vocabulary)
    if warning := leakage_warning(manifest.dataset, params.trained_on):
        click.echo(warning, err=True)
    work = layout.work("detect", split)
    inputs = [layout.vocabulary, layout.split(split)]
    if params.source is not None:
        source = root / params.source.format(split=split)
        proposals = read_handed_over(source, layout.split(split), manifest, vocabulary)
        inputs += files_handed_over(source, split)
    else:
        detector = load_detector(params, root=root)
        if (root / params.weights).exists():
            inputs.append(root / params.weights)
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
        inputs=inputs,
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
