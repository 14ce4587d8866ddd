"""`label_quality`: labels of captions and of CLIP against the annotated labels of the same training images."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.core.errors import ArtifactError
from pipeline.data.split import ANNOTATED, take_split
from pipeline.labeling.quality import agreement
from pipeline.store.files import write_json
from pipeline.store.image_labels_file import COMMANDS, read_image_labels
from pipeline.store.stage_run import StageRun
from stages._command import dataset_option, root_option, stage_command


@stage_command("label-quality", help="Compare labels that nobody annotated with annotated ones of training images.")
@dataset_option
@root_option
def command(dataset: str, root: Path) -> None:
    """Write and print precision, recall and F1 of each source whose labels are there."""
    layout = Layout(root, dataset)
    with StageRun("label_quality", layout) as stage:
        vocabulary, manifest = take_split(stage.inputs, "train")
        if manifest.label_source != ANNOTATED:
            raise ArtifactError(
                f"{layout.split('train')}: its labels are of {manifest.label_source}; expected annotated ones to "
                "compare with: set prepare.labels to annotated"
            )
        found = [source for source in COMMANDS if layout.image_labels(source).exists()]
        if not found:
            raise ArtifactError(
                f"{layout.image_labels('clip').parent}: no labels to compare; run "
                + " or ".join(f'"weakhoi {name} --dataset {dataset}"' for name in COMMANDS.values())
            )
        outputs = [layout.label_quality(source) for source in found]
        for source, output in zip(found, outputs, strict=True):
            path = stage.take(layout.image_labels(source), COMMANDS[source].replace("-", "_"))
            labels = read_image_labels(path, source, manifest.image_ids, vocabulary.num_hois)
            figures = agreement(labels.rows(vocabulary.num_hois), manifest.label_rows(vocabulary.num_hois))
            write_json(output, {"source": source} | figures)
            click.echo(f"{source}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
        stage.finish(outputs, {"images": len(manifest)})


if __name__ == "__main__":
    command()
