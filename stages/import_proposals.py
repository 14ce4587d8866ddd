"""`import-proposals`: detections of another tool for one split, to a proposals file that `detect.source` may name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.data.split import take_split
from pipeline.detection.importers import LABELS, import_proposals
from pipeline.detection.params import leakage_warning
from pipeline.store.proposals_file import write_proposals
from pipeline.store.stage_run import StageRun
from stages._command import dataset_option, root_option, say, split_option, stage_command


@stage_command("import-proposals", help="Turn detections of others (COCO results, per-image JSON) into proposals.")
@dataset_option
@split_option()
@click.option(
    "--input",
    "source",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="COCO-results JSON (bbox x, y, w, h), or a folder with <image>.json for each image: boxes, scores, labels.",
)
@click.option(
    "--labels",
    metavar="NAME|FILE",
    show_default="coco91 for COCO results, vocabulary for a folder",
    help="What labels count: coco91 (COCO's ids 1..90), coco80 (0..79), coco81 (1..80, 0 is the background), "
    "vocabulary (the dataset's own categories from 0), or a JSON file with the names of all labels from 0: "
    '{"categories": ["__background__", "person", ...]}.',
)
@click.option("--trained-on", default="not stated", show_default=True, help="What the detector was trained on.")
@root_option
def command(dataset: str, split: str, source: Path, labels: str | None, trained_on: str, root: Path) -> None:
    """Read, check, map categories by name, write."""
    layout = Layout(root, dataset)
    target = layout.imported_proposals(split)
    labels = labels or ("vocabulary" if source.is_dir() else "coco91")
    if labels not in LABELS and Path(labels).is_file():
        labels = Path(labels).absolute().as_posix()
    chosen = {"input": source.absolute().as_posix(), "labels": labels, "trained-on": trained_on}
    with StageRun("import_proposals", layout, split, {"split": split, **chosen}) as stage:
        vocabulary, manifest = take_split(stage.inputs, split)
        if warning := leakage_warning(manifest.dataset, trained_on):
            say(warning)
        stage.note(source, *([] if labels in LABELS or not Path(labels).is_file() else [Path(labels)]))
        imported = import_proposals(source, manifest, vocabulary, labels=labels, detector=f"imported, {trained_on}:")
        proposals = imported.proposals
        write_proposals(target, **vars(proposals))
        humans = int((proposals.object_ids == vocabulary.human_object_id).sum())
        counts = {"images": len(manifest), "proposals": len(proposals.scores), "humans": humans}
        dropped = sum(imported.dropped.values()) + imported.without_extent
        stage.finish([target], {**counts, "dropped": dropped})
    filled = int((proposals.offsets[1:] > proposals.offsets[:-1]).sum())
    click.echo(
        f"{target}: {len(proposals.scores)} proposals, {humans} of them humans, in {filled} of {len(manifest)} images; "
        f"kept {_listed(imported.kept)}; dropped {_listed(imported.dropped)} that the vocabulary lacks, and "
        f"{imported.without_extent} boxes without width or height"
    )
    name = layout.imported_proposals("{split}").relative_to(root)
    click.echo(f'To use it, set {dataset}.detect.source to "{name}" in params.yaml')


def _listed(counts: Mapping[str, int]) -> str:
    """The number of categories, and the ten most frequent with their numbers of boxes."""
    named = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:10])
    return f"{len(counts)} categories" + (f" ({named}{', ...' if len(counts) > 10 else ''})" if counts else "")


if __name__ == "__main__":
    command()
