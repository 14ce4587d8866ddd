"""`import-proposals`: a peer's detections of one split, to a proposals file that `detect.source` may name."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, root_option, split_option, stage_command


@stage_command(
    "import-proposals",
    one_of=("split",),
    help="Turn detections of others (COCO results, per-image JSON) into proposals.",
)
@dataset_option
@split_option()
@click.option(
    "--input",
    "source",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="COCO-results JSON (bbox x, y, w, h), or a folder of <image id>.json with boxes, scores, labels.",
)
@click.option(
    "--labels",
    type=click.Choice(["coco91", "coco80", "vocabulary"]),
    default=None,
    help="What labels count: COCO's ids 1..90, 0..79, or ids of the dataset's own categories. "
    "Default: coco91 for COCO results, vocabulary for a folder.",
)
@click.option("--trained-on", default="not stated", show_default=True, help="What the detector was trained on.")
@root_option
def command(dataset: str, split: str, source: Path, labels: str | None, trained_on: str, root: Path) -> None:
    """Read, check, map categories by name, write."""
    from pipeline.core.layout import Layout
    from pipeline.data.split import read_split
    from pipeline.detection.importers import import_proposals
    from pipeline.detection.leakage import leakage_warning
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.proposals_file import write_proposals
    from pipeline.store.vocabulary_file import read_vocabulary

    layout = Layout(root, dataset)
    labels = labels or ("vocabulary" if source.is_dir() else "coco91")
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    manifest = read_split(inputs.take(layout.split(split), "prepare"), vocabulary)
    if warning := leakage_warning(manifest.dataset, trained_on):
        click.echo(warning, err=True)
    proposals = import_proposals(
        inputs.note(source), manifest, vocabulary, labels=labels, detector=f"imported, {trained_on}:"
    )
    target = layout.imported_proposals(split)
    write_proposals(target, proposals)
    humans = int((proposals.object_ids == vocabulary.human_object_id).sum())
    write_stage_manifest(
        layout.stage_manifest("import_proposals", split),
        root=root,
        stage="import_proposals",
        arguments={
            "dataset": dataset,
            "split": split,
            "input": source.absolute().as_posix(),
            "labels": labels,
            "trained-on": trained_on,
        },
        inputs=inputs.digests,
        params={},
        outputs=[target],
        counts={"images": len(manifest), "proposals": len(proposals.scores), "humans": humans},
        seed=0,
    )
    empty = int((proposals.offsets[1:] == proposals.offsets[:-1]).sum())
    name = layout.imported_proposals("{split}").relative_to(root)
    click.echo(
        f"{target}: {len(proposals.scores)} proposals, {humans} of them humans, none in {empty} of {len(manifest)} "
        f'images; to use it, set {dataset}.detect.source to "{name}" in params.yaml'
    )


if __name__ == "__main__":
    command()
