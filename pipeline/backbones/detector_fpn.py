"""`detector_fpn`: a detector's feature pyramid, and its box head for any region, in place of CLIP's encoder (Exp 8-10).

The paper starts the visual encoder from a ResNet50-FPN trained for detection and says no more. Here a region is pooled
from the pyramid level that the detector would take, and embedded by the detector's own box head; the image is the
region that covers all of it. A linear layer, trained from scratch, takes the head's width to the knowledge bank's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from pipeline.backbones.base import Backbone, Sources, recomputed, renormalization
from pipeline.backbones.roi_tokens import map_cells, roi_tokens
from pipeline.config.types import KnownKeys
from pipeline.detection.detectors import build_architecture

_PATCH_STRIDE = 16  # pixels, as of clip_resnet


@dataclass(frozen=True)
class DetectorFpnParams(KnownKeys):
    """`detector_fpn` has no settings: it takes the detector of `detect.detector`."""


class DetectorFpn(Backbone):
    """Feature pyramid and region embeddings of a Faster R-CNN.

    Args:
        detector: any torchvision Faster R-CNN over a feature pyramid; its parts are copied.
        architecture: the detector's, as `detection.detectors.build_architecture` reads it.
        embed_dim: D, width of the embeddings.
        image_size: side of the input images in pixels.
    """

    Params = DetectorFpnParams
    from_scratch = ("projection.",)
    pixel_scale: Tensor
    pixel_shift: Tensor

    def __init__(
        self, detector: FasterRCNN, architecture: Mapping[str, Any], *, embed_dim: int, image_size: int
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.architecture, self.image_size = dict(architecture), image_size
        self.pyramid = copy.deepcopy(detector.backbone)
        self.box_head = copy.deepcopy(detector.roi_heads.box_head)
        self.requires_grad_(True)  # detectors are loaded frozen
        pool, transform = detector.roi_heads.box_roi_pool, detector.transform
        self.level_names: list[str] = list(pool.featmap_names)
        self.roi_size = int(pool.output_size[0])
        self.sampling_ratio = max(1, int(pool.sampling_ratio))
        self.canonical_scale, self.canonical_level = float(pool.canonical_scale), int(pool.canonical_level)
        scale, shift = renormalization(transform.image_mean, transform.image_std)
        self.register_buffer("pixel_scale", scale)
        self.register_buffer("pixel_shift", shift)
        empty = torch.zeros(1, *self.region_map_shape, self.roi_size)
        with torch.no_grad():
            width = self.box_head(empty).shape[1]
        self.projection = nn.Linear(width, embed_dim)

    @classmethod
    def build(cls, sources: Sources, params: DetectorFpnParams) -> Self:
        """The parts of the detector that params name."""
        with torch.random.fork_rng(devices=[]):  # the projection must not depend on how many numbers loading draws
            detector, architecture = sources.detector()
        return cls(detector, architecture, embed_dim=sources.embed_dim, image_size=sources.image_size)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of `config`."""
        detector = build_architecture(config["detector"])
        assert isinstance(detector, FasterRCNN)
        return cls(detector, config["detector"], embed_dim=config["embed_dim"], image_size=config["image_size"])

    @property
    def config(self) -> dict[str, Any]:
        """The detector's architecture and the sizes."""
        return {"detector": self.architecture, "embed_dim": self.embed_dim, "image_size": self.image_size}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images [I, 3, S, S] to the pyramid's levels, finest first, each [I, C, S / stride, S / stride]."""
        pixels = images * self.pixel_scale + self.pixel_shift
        levels = recomputed(pixels, self.pyramid) if self.recompute else self.pyramid(pixels)
        # As torchvision's pooler does, which names four levels whatever the pyramid has.
        return [levels[name] for name in self.level_names if name in levels]

    @property
    def patch_width(self) -> int:
        """Channels of every level."""
        return int(self.pyramid.out_channels)

    def patches(self, features: list[Tensor]) -> Tensor:
        """Cells [I, P, E] of the finest level with a stride of at least 16, or else of the coarsest level."""
        coarse = [level for level in features if self.image_size // level.shape[3] >= _PATCH_STRIDE]
        return (coarse or features[-1:])[0].flatten(2).transpose(1, 2)

    def global_embedding(self, features: list[Tensor]) -> Tensor:
        """v_g [I, D]: the region that covers the image."""
        count = len(features[0])
        whole = features[0].new_tensor([0.0, 0.0, 1.0, 1.0]).expand(count, 4)
        return self.region_embedding(features, whole, torch.arange(count, device=whole.device))

    def region_embedding(self, features: list[Tensor], boxes: Tensor, image: Tensor) -> Tensor:
        """Embeddings [R, D] of boxes [R, 4] in 0..1 of their images, maps `image` [R]."""
        embedded: Tensor = self.projection(self.box_head(self.region_maps(features, boxes, image)))
        return embedded

    @property
    def region_map_shape(self) -> tuple[int, int]:
        """Channels of every level, and the side of the detector's own RoI pooling."""
        return self.patch_width, self.roi_size

    def region_maps(self, features: list[Tensor], boxes: Tensor, image: Tensor) -> Tensor:
        """What the box head sees [R, C, s, s]: each box from the pyramid level that the detector would take."""
        level = self._level(boxes, features)
        channels = features[0].shape[1]
        pooled = boxes.new_zeros(len(boxes), channels, self.roi_size, self.roi_size)
        for index, cells in enumerate(features):
            rows = torch.nonzero(level == index).squeeze(1)
            placed = map_cells(boxes[rows], cells) + 0.5  # half a cell on: torchvision's pooler reads unaligned
            tokens = roi_tokens(cells, placed, image[rows], roi_size=self.roi_size, sampling_ratio=self.sampling_ratio)
            grid = tokens.transpose(1, 2).reshape(-1, channels, self.roi_size, self.roi_size)
            pooled = pooled.index_copy(0, rows, grid.to(pooled.dtype))
        return pooled

    def _level(self, boxes: Tensor, features: list[Tensor]) -> Tensor:
        """Row of `features` that each box is pooled from, int64 [R]: eq. (1) of Lin et al. 2017."""
        lowest = round(math.log2(self.image_size / features[0].shape[3]))  # of the finest stride
        extent = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0) * self.image_size
        scale = extent.prod(1).sqrt() / self.canonical_scale
        level = torch.floor(self.canonical_level + torch.log2(scale) + 1e-6) - lowest
        return level.clamp(0, len(features) - 1).long()


BACKBONE = DetectorFpn
