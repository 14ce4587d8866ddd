"""Section `detect` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pipeline.config.types import BatchSize, Fraction, KnownKeys, PartSize, Text, Whole, placeholders, within


@dataclass(frozen=True)
class DetectParams(KnownKeys):
    """The off-the-shelf detector and what is kept of its output."""

    detector: Text  # torchvision builder's name, e.g. "fasterrcnn_resnet50_fpn_v2"
    weights: Text  # torchvision weights name ("COCO_V1"), or a path
    trained_on: Text  # recorded in the manifest; V-COCO's leakage rule is checked against it
    score_threshold: Fraction
    batch_size: BatchSize
    part_size: PartSize  # images per resumable part
    source: Annotated[Text, placeholders("split")] | None = None  # a proposals file to take instead of detecting
    nms_threshold: Fraction = 0.5  # highest IoU of two boxes of one category
    max_per_image: Annotated[Whole, within(1, 1000)] = 100
