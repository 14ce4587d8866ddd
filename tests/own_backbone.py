"""`own_backbone`: one convolution, and means over whole images and over boxes: all that a backbone must have."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from torch import nn

from pipeline.backbones.base import Backbone
from pipeline.backbones.roi_tokens import map_cells, roi_tokens
from pipeline.config.types import KnownKeys, Whole, within


@dataclass(frozen=True)
class OwnBackboneParams(KnownKeys):
    width: Annotated[Whole, within(1, 4096)] = 8  # D


class OwnBackbone(Backbone):
    Params = OwnBackboneParams
    from_scratch = ("convolution.",)  # nothing here is pretrained

    def __init__(self, params):
        super().__init__()
        self.params, self.embed_dim = params, params.width
        self.convolution = nn.Conv2d(3, params.width, kernel_size=16, stride=16)

    @classmethod
    def build(cls, sources, params):
        return cls(params)

    @classmethod
    def from_config(cls, config):
        return cls(OwnBackboneParams(**config["params"]))

    @property
    def config(self):
        return {"params": asdict(self.params)}

    def forward(self, images):
        return self.convolution(images).relu()

    def global_embedding(self, features):
        return features.mean((2, 3))

    def region_embedding(self, features, boxes, image):
        return roi_tokens(features, map_cells(boxes, features), image, roi_size=2, sampling_ratio=1).mean(1)


BACKBONE = OwnBackbone
