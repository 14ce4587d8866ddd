"""Dataset readers by name: every file here that defines `READER`, or a module of yours by its dotted name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.core.errors import ArtifactError, ParamError
from pipeline.core.plugins import load_plugin, outside_files
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import ANNOTATED, SplitManifest
from pipeline.truth import datasets
from pipeline.truth.datasets.base import DatasetReader, ReadsTrainingBoxes
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.params import PrepareParams


def open_reader(params: PrepareParams, *, dataset: str, root: Path) -> tuple[DatasetReader, list[Path]]:
    """Return the reader that `prepare.reader` names, and its inputs: annotation files, and its own file if outside.

    Raises:
        ParamError: there is none of that name.
    """
    reader: type[DatasetReader] = load_plugin(datasets, params.reader, "READER", f"{dataset}.prepare.reader")
    opened = reader(params, dataset=dataset, root=root)
    return opened, [*opened.inputs, *outside_files(params.reader)]


def read_training_boxes(
    reader: DatasetReader, params: PrepareParams, manifest: SplitManifest, vocabulary: Vocabulary
) -> GroundTruth:
    """Return the annotated pairs of the training images that `prepare` wrote down.

    Raises:
        ParamError: the reader gives no boxes of training images.
        ArtifactError: the annotations are of other images or classes than `manifest` and `vocabulary`.
    """
    if manifest.label_source != ANNOTATED:
        raise ParamError(
            f"{manifest.dataset}.prepare.labels is {manifest.label_source}; training with boxes needs annotated"
        )
    if not isinstance(reader, ReadsTrainingBoxes):
        raise ParamError(
            f"{manifest.dataset}.prepare.reader: {params.reader} gives no boxes of training images, which training "
            "with boxes needs; keep train.supervision: labels, or add a method training_boxes to the reader"
        )
    boxes = reader.training_boxes()
    changed = f'the annotations have changed since; run "dvc repro prepare@{manifest.dataset}"'
    if reader.vocabulary != vocabulary:
        raise ArtifactError(f"{manifest.dataset}: the vocabulary lists other classes than the annotations: {changed}")
    if boxes.image_ids != manifest.image_ids:
        raise ArtifactError(
            f"{manifest.dataset}: the training manifest lists other images than the annotations: {changed}"
        )
    if not _same_labels(boxes.truth, manifest, vocabulary.num_hois):
        raise ArtifactError(
            f"{manifest.dataset}: the training manifest lists other labels than the annotations: {changed}"
        )
    return boxes.truth


def _same_labels(truth: GroundTruth, manifest: SplitManifest, num_hois: int) -> bool:
    """Whether the images' labels are those of the annotations: image-level ones, else the classes of the pairs."""
    shown, listed = truth.shown(num_hois), manifest.label_rows(num_hois)
    return np.array_equal(shown.offsets, listed.offsets) and np.array_equal(shown.hoi_ids, listed.hoi_ids)
