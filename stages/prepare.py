"""`prepare`: annotations and images to a vocabulary, split manifests without boxes, and ground truth for `evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.layout import Layout
from pipeline.core.types import ImageLabels
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import ANNOTATED, write_split
from pipeline.store.files import atomic_path
from pipeline.store.stage_run import StageRun
from pipeline.store.vocabulary_file import write_vocabulary
from pipeline.truth.datasets.base import HasNotes, PreparedSplit
from pipeline.truth.datasets.catalog import open_reader
from pipeline.truth.ground_truth_file import write_ground_truth, write_unannotated
from pipeline.truth.params import PrepareParams
from pipeline.truth.vcoco_people_file import write_people
from stages._captions import caption_labels, check_captions
from stages._command import dataset_option, progress, root_option, say, stage_command


@stage_command("prepare", help="Write the split manifests, vocabulary and ground truth of a dataset.")
@dataset_option
@root_option
def command(dataset: str, root: Path) -> None:
    """Read the dataset with the reader that params.yaml names, and write what all later stages read."""
    layout = Layout(root, dataset)
    with StageRun("prepare", layout) as stage:
        params = stage.params(PrepareParams)
        check_captions(params, layout)
        reader, inputs = open_reader(params, dataset=dataset, root=layout.root)
        with progress(reader.num_images, f"prepare {dataset}") as advance, atomic_path(layout.drawn_images) as folder:
            folder.mkdir(parents=True)
            splits = reader.read(folder, advance)
        splits, report = _with_labels(stage, params, reader.vocabulary, splits)
        outputs = [layout.vocabulary, layout.drawn_images]
        write_vocabulary(layout.vocabulary, reader.vocabulary)
        for split in splits:
            name = split.manifest.split
            outputs += write_split(layout.split(name), split.manifest, layout.split_columns(name))
            if split.annotated is not None:
                write_ground_truth(layout.ground_truth(name), split.annotated, split.manifest)
                outputs.append(layout.ground_truth(name))
            elif name != "train":
                write_unannotated(layout.ground_truth(name), split.manifest)
                outputs.append(layout.ground_truth(name))
            if split.people is not None:
                write_people(layout.people(name), split.people)
                outputs.append(layout.people(name))
        for note in reader.notes if isinstance(reader, HasNotes) else ():
            say(f"Note: {note}")
        stage.note(*inputs)
        stage.finish(
            outputs, {split.manifest.split: len(split.manifest) for split in splits} | report, seed=params.seed
        )


def _with_labels(
    stage: StageRun, params: PrepareParams, vocabulary: Vocabulary, splits: list[PreparedSplit]
) -> tuple[list[PreparedSplit], dict[str, Any]]:
    """The splits with the labels of the training images that params ask for, and figures of captions."""
    if params.labels == ANNOTATED:
        return splits, {}
    manifests = {split.manifest.split: split.manifest for split in splits}
    train, report = manifests.pop("train"), {}
    if params.labels == "captions":
        found = caption_labels(stage, params, train, list(manifests.values()), vocabulary)
        cuts, report = found.labels.offsets, {"captions": found.report}
        hoi_ids = np.split(found.labels.hoi_ids, cuts[1:-1])
    else:
        hoi_ids = [np.zeros(0, np.int64)] * len(train)
    labels = tuple(ImageLabels(name, ids) for name, ids in zip(train.image_ids, hoi_ids, strict=True))
    weak = replace(train, labels=labels, label_source=params.labels)
    return [replace(split, manifest=weak) if split.manifest is train else split for split in splits], report


if __name__ == "__main__":
    command()
