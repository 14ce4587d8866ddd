"""The backbone network: CLIP's visual encoder as a feature map, and its attention pool for any region (sec. 3.2.1)."""

from __future__ import annotations

import copy
import functools
from dataclasses import asdict, dataclass
from typing import Any

from clip.model import AttentionPool2d, ModifiedResNet
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pipeline.hoi.attention_pooling import attention_pool
from pipeline.hoi.roi_tokens import map_cells, roi_tokens

_STEM_LAYERS = 10  # of the trunk: three times convolution, norm and ReLU, then an average pool


@dataclass(frozen=True)
class VisualConfig:
    """Architecture of a `clip.model.ModifiedResNet`; enough to build it without its weights."""

    layers: tuple[int, int, int, int]
    width: int
    heads: int
    output_dim: int
    resolution: int

    @classmethod
    def of(cls, visual: ModifiedResNet) -> VisualConfig:
        """Read the architecture off a module."""
        stages = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        return cls(
            layers=tuple(len(stage) for stage in stages),  # type: ignore[arg-type]
            width=visual.conv3.out_channels,
            heads=visual.attnpool.num_heads,
            output_dim=visual.output_dim,
            resolution=visual.input_resolution,
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> VisualConfig:
        """Inverse of `to_json`."""
        return cls(**{**data, "layers": tuple(data["layers"])})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def build(self) -> ModifiedResNet:
        """Return a module of this architecture with fresh random weights."""
        return ModifiedResNet(
            layers=list(self.layers),
            output_dim=self.output_dim,
            heads=self.heads,
            input_resolution=self.resolution,
            width=self.width,
        )


class ClipBackbone(nn.Module):
    """Feature map before the attention pool, and region embeddings from it.

    Args:
        visual: CLIP's visual encoder; copied, the caller's module stays as it is.
        last_stride: 32 is CLIP's own; 16 takes the stride out of the last stage, for a map of twice the side.
        roi_size: RoIAlign bins per side.
        sampling_ratio: RoIAlign samples per bin and side.
    """

    recompute = False  # inner activations of each stage in the backward pass, rather than keep them

    def __init__(self, *, visual: ModifiedResNet, last_stride: int, roi_size: int, sampling_ratio: int) -> None:
        super().__init__()
        self.roi_size, self.sampling_ratio = roi_size, sampling_ratio
        visual = copy.deepcopy(visual)
        self.stride = last_stride
        self.embed_dim: int = visual.output_dim
        self.attnpool: AttentionPool2d = visual.attnpool
        if last_stride == 16:
            first = visual.layer4[0]
            first.avgpool = nn.Identity()
            first.downsample[0] = nn.Identity()
        stem = [getattr(visual, f"{kind}{row}") for row in (1, 2, 3) for kind in ("conv", "bn", "relu")]
        stem.append(visual.avgpool)
        self.trunk = nn.Sequential(*stem, visual.layer1, visual.layer2, visual.layer3, visual.layer4)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images [I, 3, S, S] to the feature map [I, C, S / stride, S / stride]."""
        if self.recompute:
            stages = (self.trunk[:_STEM_LAYERS], *self.trunk[_STEM_LAYERS:])
            return functools.reduce(recomputed, stages, images)
        features: Tensor = self.trunk(images)
        return features

    def global_embedding(self, features: Tensor) -> Tensor:
        """v_g [I, D] of whole maps; at CLIP's own size and stride this is `encode_image`."""
        grid = (features.shape[2], features.shape[3])
        return attention_pool(self.attnpool, features.flatten(2).transpose(1, 2), grid)

    def region_embedding(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """RoIAlign, then the attention pool: [R, D] of boxes [R, 4] in 0..1 of their images, maps `image` [R]."""
        cells = map_cells(boxes, features)
        tokens = roi_tokens(features, cells, image, roi_size=self.roi_size, sampling_ratio=self.sampling_ratio)
        return attention_pool(self.attnpool, tokens, (self.roi_size, self.roi_size))


def recomputed(features: Tensor, stage: nn.Module) -> Any:
    """Run a stage without dropout, keeping of it only what goes in; the backward pass runs it once more."""
    return checkpoint(stage, features, use_reentrant=False, preserve_rng_state=False)


def freeze_batch_norm(module: nn.Module) -> None:
    """Put every batch norm into evaluation mode and stop its gradients: statistics and affine stay as pretrained."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
            layer.requires_grad_(False)
