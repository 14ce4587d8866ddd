"""The classifier's whole softmax row of each detection, which torchvision's detectors compute and drop."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops.boxes import clip_boxes_to_image

CLASS_PROBABILITIES = "class_probabilities"  # key of a detector's output


def keep_class_probabilities(model: nn.Module) -> bool:
    """Let a detector with a box head also return `class_probabilities` [n, L] of its n detections; in place.

    Returns whether it does.

    Rows are the softmax over all L labels, the background first, of the region that the detection comes from. All else
    that the detector returns is as before: torchvision's own code chooses the detections, and the region of each is
    looked up afterwards. Detectors without a box head stay as they are.
    """
    heads = getattr(model, "roi_heads", None)
    if not isinstance(heads, RoIHeads):
        return False
    predicted = threading.local()  # on a cluster, the threads of a worker may share the detector

    def keep(module: nn.Module, args: Any, output: tuple[Tensor, Tensor]) -> None:
        predicted.latest = output

    def add(module: RoIHeads, args: Any, output: tuple[list[dict[str, Tensor]], Any]) -> None:
        if not module.training:
            class_logits, box_regression = predicted.latest
            rows = _class_probabilities(module, class_logits, box_regression, args[1], args[2], output[0])
            for found, of_image in zip(output[0], rows, strict=True):
                found[CLASS_PROBABILITIES] = of_image

    heads.box_predictor.register_forward_hook(keep)
    heads.register_forward_hook(add)
    return True


def _class_probabilities(
    heads: RoIHeads,
    class_logits: Tensor,
    box_regression: Tensor,
    regions: Sequence[Tensor],
    image_shapes: Sequence[tuple[int, int]],
    found: Sequence[dict[str, Tensor]],
) -> list[Tensor]:
    """Rows of each image's detections.

    Boxes and probabilities of all regions are computed as `RoIHeads.postprocess_detections` does, so that a detection
    equals those of its region to the bit. Where two regions are equal in box and score, it is of either.
    """
    counts = [len(of_image) for of_image in regions]
    all_boxes = heads.box_coder.decode(box_regression, list(regions)).split(counts)
    all_rows = torch.softmax(class_logits, -1).split(counts)
    chosen = []
    for boxes, rows, shape, entry in zip(all_boxes, all_rows, image_shapes, found, strict=True):
        labels = entry["labels"]
        same = rows[:, labels] == entry["scores"]  # [regions, n]
        same &= (clip_boxes_to_image(boxes, shape)[:, labels] == entry["boxes"]).all(-1)
        assert same.any(0).all(), "a detection is of no region"
        chosen.append(rows[same.to(torch.uint8).argmax(0)] if len(labels) else rows[:0])
    return chosen
