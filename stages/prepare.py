"""`prepare`: annotations and images to a vocabulary, split manifests without boxes, and ground truth for `evaluate`."""

from __future__ import annotations

from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.data.split import write_split
from pipeline.store.files import atomic_path
from pipeline.store.stage_run import StageRun
from pipeline.store.vocabulary_file import write_vocabulary
from pipeline.truth.datasets.catalog import open_reader
from pipeline.truth.ground_truth_file import write_ground_truth, write_unannotated
from pipeline.truth.params import PrepareParams
from pipeline.truth.vcoco_people_file import write_people
from stages._command import dataset_option, progress, root_option, stage_command


@stage_command("prepare", help="Write the split manifests, vocabulary and ground truth of a dataset.")
@dataset_option
@root_option
def command(dataset: str, root: Path) -> None:
    """Read the dataset with the reader that params.yaml names, and write what all later stages read."""
    layout = Layout(root, dataset)
    with StageRun("prepare", layout) as stage:
        params = stage.params(PrepareParams)
        reader, inputs = open_reader(params, dataset=dataset, root=layout.root)
        with progress(reader.num_images, f"prepare {dataset}") as advance, atomic_path(layout.drawn_images) as folder:
            folder.mkdir(parents=True)
            splits = reader.read(folder, advance)
        outputs = [layout.vocabulary, layout.drawn_images]
        write_vocabulary(layout.vocabulary, reader.vocabulary)
        for split in splits:
            name = split.manifest.split
            write_split(layout.split(name), split.manifest)
            outputs.append(layout.split(name))
            if split.annotated is not None:
                write_ground_truth(layout.ground_truth(name), split.annotated, split.manifest)
                outputs.append(layout.ground_truth(name))
            elif name != "train":
                write_unannotated(layout.ground_truth(name), split.manifest)
                outputs.append(layout.ground_truth(name))
            if split.people is not None:
                write_people(layout.people(name), split.people)
                outputs.append(layout.people(name))
        stage.note(*inputs)
        stage.finish(outputs, {split.manifest.split: len(split.manifest) for split in splits}, seed=params.seed)


if __name__ == "__main__":
    command()
