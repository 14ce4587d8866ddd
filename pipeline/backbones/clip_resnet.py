"""`clip_resnet`: CLIP's ResNet as a feature map, and its attention pool for any region (sec. 3.2.1)."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self

from torch import Tensor, nn

from pipeline.backbones.attention_pooling import attention_pool
from pipeline.backbones.base import Backbone, Sources, recomputed
from pipeline.backbones.roi_tokens import RoiTokens, cells_of, map_cells, roi_tokens
from pipeline.config.types import KnownKeys, Switch, Whole, within
from pipeline.core.errors import ParamError
from pipeline.store.openai_clip import AttentionPool2d, ModifiedResNet

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
        """Read the fields from JSON."""
        return cls(**{**data, "layers": tuple(data["layers"])})

    def build(self) -> ModifiedResNet:
        """Return a module of this architecture with fresh random weights."""
        return ModifiedResNet(
            layers=list(self.layers),
            output_dim=self.output_dim,
            heads=self.heads,
            input_resolution=self.resolution,
            width=self.width,
        )


@dataclass(frozen=True)
class ClipResNetParams(KnownKeys):
    """Settings of `clip_resnet`."""

    last_stride: Literal[16, 32] = 16  # of the last stage: 32 is CLIP's own, 16 makes a map of twice the side
    roi_size: Annotated[Whole, within(1, 32)] = 7  # RoIAlign bins per side; 7: RN50's own grid
    sampling_ratio: Annotated[Whole, within(1, 16)] = 2  # RoIAlign samples per bin and side
    trained: Literal["all", "pool", "none"] = "all"  # pool: the attention pool alone, so that the map can be stored
    pretrained: Switch = True  # false keeps CLIP's architecture with random weights (a control)


class ClipResNet(Backbone):
    """Feature map before the attention pool, and region embeddings from it.

    Args:
        visual: CLIP's visual encoder; copied, the caller's module stays as it is.
        params: strides and RoI sizes, and what is trained.
    """

    Params = ClipResNetParams
    frozen_by = "model.clip_resnet.trained to pool or none"

    def __init__(self, visual: ModifiedResNet, params: ClipResNetParams) -> None:
        super().__init__()
        self.params, self.visual_config = params, VisualConfig.of(visual)
        visual = copy.deepcopy(visual)
        self.embed_dim = visual.output_dim
        self.attnpool: AttentionPool2d = visual.attnpool
        if params.last_stride == 16:
            first = visual.layer4[0]
            first.avgpool = nn.Identity()
            first.downsample[0] = nn.Identity()
        stem = [getattr(visual, f"{kind}{row}") for row in (1, 2, 3) for kind in ("conv", "bn", "relu")]
        stem.append(visual.avgpool)
        self.trunk = nn.Sequential(*stem, visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        for layer in self.trunk.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.in_place = True  # type: ignore[assignment]  # each reads what a convolution has made for it alone
        self.trunk.requires_grad_(params.trained == "all")
        self.attnpool.requires_grad_(params.trained != "none")

    @classmethod
    def build(cls, sources: Sources, params: ClipResNetParams) -> Self:
        """CLIP's visual encoder, or one of its architecture with random weights.

        Raises:
            ParamError: CLIP's encoder is a vision transformer.
        """
        visual = sources.clip.model.visual
        if not isinstance(visual, ModifiedResNet):
            raise ParamError(
                f"model.backbone is clip_resnet, but CLIP {sources.clip.name} has a vision transformer; set "
                "model.backbone to clip_vit, or model.clip to one with a ResNet, e.g. RN50"
            )
        return cls(visual if params.pretrained else VisualConfig.of(visual).build(), params)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of `config`."""
        return cls(VisualConfig.from_json(config["visual"]).build(), ClipResNetParams(**config["params"]))

    @property
    def config(self) -> dict[str, Any]:
        """Architecture and settings, but for what was trained, which a trained model has no use for."""
        params = asdict(self.params)
        del params["trained"]
        return {"visual": asdict(self.visual_config), "params": params}

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images [I, 3, S, S] to the feature map [I, C, S / stride, S / stride]."""
        if self.recompute:
            stages = (self.trunk[:_STEM_LAYERS], *self.trunk[_STEM_LAYERS:])
            return functools.reduce(recomputed, stages, images)
        features: Tensor = self.trunk(images)
        return features

    def joined(self, tensors: Sequence[Tensor]) -> Tensor:
        """The feature map."""
        return tensors[0]

    @property
    def patch_width(self) -> int:
        """C of the feature map."""
        return self.attnpool.k_proj.in_features

    def patches(self, features: Tensor) -> Tensor:
        """The map's cells, [I, P, E]."""
        return features.flatten(2).transpose(1, 2)

    def global_embedding(self, features: Tensor) -> Tensor:
        """v_g [I, D] of whole maps; at CLIP's own size and stride this is `encode_image`."""
        grid = (features.shape[2], features.shape[3])
        return attention_pool(self.attnpool, self.patches(features), grid)

    def region_embedding(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """RoIAlign, then the attention pool: [R, D] of boxes [R, 4] in 0..1 of their images, maps `image` [R]."""
        size, samples = self.params.roi_size, self.params.sampling_ratio
        placed, sides = map_cells(boxes, features), (features.shape[2], features.shape[3])
        tokens = RoiTokens.of(sides, placed, image, roi_size=size, sampling_ratio=samples)
        return attention_pool(self.attnpool, cells_of(features), (size, size), tokens)

    @property
    def region_bytes(self) -> int:
        """Tokens of a region, and what the pool's heads ask and mix: float32."""
        return 4 * self.patch_width * (self.params.roi_size**2 + 2 * self.attnpool.num_heads)

    @property
    def region_map_shape(self) -> tuple[int, int]:
        """C of the feature map, and the side of RoIAlign's grid."""
        return self.patch_width, self.params.roi_size

    def region_maps(self, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """RoIAlign of the feature map: [R, C, s, s]."""
        size, samples = self.params.roi_size, self.params.sampling_ratio
        tokens = roi_tokens(features, map_cells(boxes, features), image, roi_size=size, sampling_ratio=samples)
        return tokens.transpose(1, 2).reshape(-1, tokens.shape[2], size, size)


BACKBONE = ClipResNet
