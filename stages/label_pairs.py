"""`label_pairs`: annotated boxes of the training split to labels of its proposed pairs, for training with boxes."""

from __future__ import annotations

from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.data.split import take_split
from pipeline.store.pair_labels_file import write_pair_labels
from pipeline.store.proposals_file import read_proposals
from pipeline.store.stage_run import StageRun
from pipeline.truth.datasets.catalog import open_reader, read_training_boxes
from pipeline.truth.label_proposals import label_proposals
from pipeline.truth.params import PrepareParams
from stages._command import dataset_option, progress, root_option, stage_command


@stage_command("label-pairs", help="Label proposed training pairs from annotated boxes, for training with boxes.")
@dataset_option
@root_option
def command(dataset: str, root: Path) -> None:
    """Read the boxes with the dataset's reader, and match them with the proposals of the training split."""
    layout = Layout(root, dataset)
    with StageRun("label_pairs", layout) as stage:
        params = stage.params(PrepareParams)
        vocabulary, manifest = take_split(stage.inputs, "train")
        proposals = read_proposals(
            stage.take(layout.proposals("train"), "detect", "train"),
            image_ids=manifest.image_ids,
            objects=vocabulary.objects,
        )
        reader, inputs = open_reader(params, dataset=dataset, root=layout.root)
        truth = read_training_boxes(reader, params, manifest, vocabulary)
        with progress(len(manifest), f"label-pairs {dataset}") as advance:
            found = label_proposals(proposals, truth, vocabulary, advance)
        write_pair_labels(layout.pair_labels("train"), found.labels)
        stage.note(*inputs)
        counts = {"images": len(manifest), "annotated": len(truth), "shown": found.shown}
        stage.finish([layout.pair_labels("train")], counts | {"labels": len(found.labels.labels)}, seed=params.seed)


if __name__ == "__main__":
    command()
