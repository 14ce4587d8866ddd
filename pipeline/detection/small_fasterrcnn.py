"""A torchvision Faster R-CNN for images of about 160 pixels: small ResNet, feature pyramid, 0.55 M parameters.

Everything after the backbone is torchvision's own: its input is a list of RGB images float32 [3, H, W] in [0, 1], its
output one dict per image with boxes float32 [N, 4] xyxy in pixels, labels int64 [N] (0 is the background) and scores.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.models.resnet import BasicBlock
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from pipeline.store.files import atomic_path

STEM_WIDTH = 16
STAGE_WIDTHS = (24, 32, 64, 96)  # at strides 4, 8, 16, 32
PYRAMID_CHANNELS = 48
PYRAMID_LEVELS = ("0", "1", "2")  # strides 8, 16, 32
ANCHOR_SIZES = ((10, 16), (24, 36), (52, 80))  # pixels, one tuple per level
ASPECT_RATIOS = (0.6, 1.2, 2.6)  # height over width: animals, things, persons
ROI_SIZE, HEAD_WIDTH = 5, 160


def _stage(in_channels: int, out_channels: int) -> BasicBlock:
    """One residual block of stride 2."""
    shortcut = nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=2, bias=False), nn.BatchNorm2d(out_channels)
    )
    return BasicBlock(in_channels, out_channels, stride=2, downsample=shortcut)


class SmallResNetPyramid(nn.Module):
    """Small ResNet and feature pyramid: [B, 3, H, W] to maps [B, 48, H/s, W/s] for strides s = 8, 16, 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM_WIDTH, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(STEM_WIDTH),
            nn.ReLU(inplace=True),
        )
        widths = (STEM_WIDTH, *STAGE_WIDTHS)
        self.stages = nn.ModuleList(_stage(a, b) for a, b in pairwise(widths))
        self.pyramid = FeaturePyramidNetwork(list(STAGE_WIDTHS[1:]), PYRAMID_CHANNELS)
        self.out_channels = PYRAMID_CHANNELS

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the three pyramid levels, finest first."""
        features: OrderedDict[str, Tensor] = OrderedDict()
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number > 0:
                features[PYRAMID_LEVELS[number - 1]] = x
        levels: dict[str, Tensor] = self.pyramid(features)
        return levels


def small_fasterrcnn(
    num_categories: int,
    *,
    image_size: int = 160,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    detections_per_image: int = 100,
    proposals_per_image: int = 150,
    anchor_sizes: Sequence[Sequence[int]] = ANCHOR_SIZES,
) -> FasterRCNN:
    """Build the detector with random weights.

    Args:
        num_categories: rows of the classifier, the background among them.
        image_size: images are resized so that their longer side has this many pixels; 160 leaves toyworld as it is.
        score_threshold: detections below it are dropped.
        nms_threshold: IoU over which the lower of two detections of a category is dropped.
        detections_per_image: at most so many are kept.
        proposals_per_image: region proposals that reach the box head.
        anchor_sizes: pixels, one sequence per pyramid level, all of one length.
    """
    sizes = tuple(tuple(level) for level in anchor_sizes)
    pool = MultiScaleRoIAlign(
        list(PYRAMID_LEVELS), ROI_SIZE, sampling_ratio=2, canonical_scale=48, canonical_level=4
    )  # a box of 48 pixels is pooled from stride 16
    return FasterRCNN(
        SmallResNetPyramid(),
        num_classes=None,
        min_size=image_size,
        max_size=image_size,
        rpn_anchor_generator=AnchorGenerator(sizes, (ASPECT_RATIOS,) * len(sizes)),
        rpn_pre_nms_top_n_train=400,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_train=200,
        rpn_post_nms_top_n_test=proposals_per_image,
        rpn_batch_size_per_image=128,
        box_roi_pool=pool,
        box_head=TwoMLPHead(PYRAMID_CHANNELS * ROI_SIZE**2, HEAD_WIDTH),
        box_predictor=FastRCNNPredictor(HEAD_WIDTH, num_categories),
        box_score_thresh=score_threshold,
        box_nms_thresh=nms_threshold,
        box_detections_per_img=detections_per_image,
        box_batch_size_per_image=96,
    )


def save_small_fasterrcnn(
    path: Path, model: FasterRCNN, *, config: Mapping[str, Any], categories: Sequence[str], training_set: str
) -> None:
    """Write the weights as float32 safetensors; the metadata holds all that is needed to build the model again.

    Args:
        config: the keyword arguments that `small_fasterrcnn` was called with.
        categories: name of each label, "__background__" first.
        training_set: what it was trained on, in words.
    """
    metadata = {
        "architecture": "small_fasterrcnn",
        "config": json.dumps(dict(config)),
        "categories": json.dumps(list(categories)),
        "training_set": training_set,
    }
    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, metadata))
