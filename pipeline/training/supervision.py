"""What a run learns from beside image-level labels: annotated pairs of all images, of some, or of none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ParamError
from pipeline.core.seeding import numpy_generator
from pipeline.data.split import ANNOTATED, SplitManifest
from pipeline.training.params import TrainParams


def check_supervision(params: TrainParams, method: str, *, takes_boxes: bool) -> None:
    """Refuse settings of `train` that say nothing, or ask what the method cannot use.

    Args:
        method: its name.
        takes_boxes: `Method.takes_boxes`.

    Raises:
        ParamError: names the setting.
    """
    supervision, share = params.supervision, params.boxes_share
    if supervision != "labels" and not takes_boxes:
        raise ParamError(
            f"train.supervision is {supervision}, but the method {method} learns from image-level labels alone; "
            "expected labels"
        )
    if supervision != "labels" and params.shuffle_labels:
        raise ParamError(
            f"train.shuffle_labels permutes labels, not boxes; expected train.supervision: labels, found {supervision}"
        )
    if (supervision == "mixed") != (share is not None):
        expected = "a share of the training images, 0 to 1" if share is None else "null"
        raise ParamError(f"train.boxes_share is {share}; expected {expected}, since train.supervision is {supervision}")


def label_source(params: TrainParams, manifest: SplitManifest) -> str:
    """Return what the image-level labels of a run come from: "annotated", "captions" or "clip".

    Raises:
        ParamError: annotated labels are asked for where `prepare` wrote none, or weak ones beside annotated boxes.
    """
    source = params.labels or manifest.label_source
    if source == ANNOTATED != manifest.label_source:
        raise ParamError(
            f"train.labels is annotated, but {manifest.dataset}.prepare.labels is {manifest.label_source}, so that no "
            'annotated label was written; set that to annotated and run "dvc repro prepare"'
        )
    if source != ANNOTATED and params.supervision != "labels":
        raise ParamError(
            f"train.supervision is {params.supervision}, whose boxes are annotated, but labels are of {source}; "
            "expected train.labels: annotated"
        )
    return source


def images_with_boxes(params: TrainParams, num_images: int) -> NDArray[np.bool_]:
    """Images whose annotated pairs are learned from, bool [I]; drawn by the seed, a larger share adds to a smaller."""
    chosen = np.zeros(num_images, np.bool_)
    count = round(params.share_of_boxes * num_images)
    chosen[numpy_generator(params.seed, "boxes").permutation(num_images)[:count]] = True
    return chosen
