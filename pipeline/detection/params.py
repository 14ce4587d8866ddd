"""Section `detect` of params.yaml, and the rule that its `trained_on` must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pipeline.config.types import BatchSize, Fraction, KnownKeys, PartSize, Text, Whole, placeholders, within

_WITHOUT_VCOCO = "without V-COCO"  # in `trained_on`


@dataclass(frozen=True)
class DetectParams(KnownKeys):
    """The off-the-shelf detector and what is kept of its output."""

    detector: Text  # torchvision builder's name, e.g. "fasterrcnn_resnet50_fpn_v2"
    weights: Text  # torchvision weights name ("COCO_V1"), or a path
    trained_on: Text  # recorded in the manifest; `leakage_warning` reads it
    score_threshold: Fraction
    batch_size: BatchSize
    part_size: PartSize  # images per resumable part
    source: Annotated[Text, placeholders("split")] | None = None  # a proposals file to take instead of detecting
    nms_threshold: Fraction = 0.5  # highest IoU of two boxes of one category
    max_per_image: Annotated[Whole, within(1, 1000)] = 100


def leakage_warning(dataset: str, trained_on: str) -> str | None:
    """Return one line where a detector for V-COCO is not declared to be without V-COCO's images, else None (sec. 4.2).

    V-COCO's test images are COCO val2014 images, most of which are in train2017, the training set of torchvision's
    published weights. Weights do not tell what they were trained on, so `detect.trained_on` declares it.
    """
    if dataset != "vcoco" or _WITHOUT_VCOCO.lower() in trained_on.lower():
        return None
    return (
        f'Warning: detect.trained_on is "{trained_on}"; a detector that has seen V-COCO\'s test images leaks them into '
        f'the score (sec. 4.2): train one on COCO less V-COCO\'s images and say "... {_WITHOUT_VCOCO}", or state it '
        "with your results"
    )
