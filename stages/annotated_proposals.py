"""`annotated_proposals`: annotated boxes of an evaluation split to proposals, for `infer --boxes annotated`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.data.split import take_split
from pipeline.store.proposals_file import write_proposals
from pipeline.store.stage_run import StageRun
from pipeline.truth.annotated_proposals import annotated_proposals
from pipeline.truth.ground_truth_file import read_ground_truth
from stages._command import dataset_option, root_option, split_option, stage_command


@stage_command(
    "annotated-proposals",
    help="Write the annotated boxes of a split as proposals: infer and evaluate on them (--boxes annotated) tell "
    "errors of the detector from those of interactions.",
)
@dataset_option
@split_option("val", "test", default="test")
@root_option
def command(dataset: str, split: str, root: Path) -> None:
    """Read the boxes of all annotated pairs, each once."""
    layout = Layout(root, dataset)
    with StageRun("annotated_proposals", layout, split) as stage:
        vocabulary, manifest = take_split(stage.inputs, split)
        path = stage.take(layout.ground_truth(split), "prepare")
        truth = read_ground_truth(path, manifest, vocabulary.num_hois).truth
        target = layout.annotated_proposals(split)
        proposals = annotated_proposals(truth, manifest.image_ids, vocabulary)
        write_proposals(target, **vars(proposals))
        stage.finish([target], {"images": len(manifest), "proposals": len(proposals.scores)})
    click.echo(f"{target}: {len(proposals.scores)} annotated boxes of {len(manifest)} images")
    click.echo(
        f"Next: weakhoi infer --dataset {dataset} --split {split} --boxes annotated, then evaluate with the same"
    )


if __name__ == "__main__":
    command()
