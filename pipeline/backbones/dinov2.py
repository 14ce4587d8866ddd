"""`dinov2`: DINOv2 with registers (Darcet et al., ICLR 2024) or without; a learned projection takes it to D.

Regions are RoIAligned from the last layer's projected patches. RegFormer reads the patches themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Self

import torch
from torch import Tensor, nn

from pipeline.backbones.base import Sources, renormalization
from pipeline.backbones.patch_tokens import PatchTokens, check_patches, train_last_blocks
from pipeline.config.types import KnownKeys, Switch, Text, Whole, within
from pipeline.store.dinov2_checkpoint import build_dinov2, dinov2_config, find_dinov2, load_dinov2

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


@dataclass(frozen=True)
class DinoV2Params(KnownKeys):
    """Settings of `dinov2`."""

    weights: Text = "facebook/dinov2-with-registers-small"  # a name of transformers' hub, or a folder
    roi_size: Annotated[Whole, within(1, 32)] = 4  # RoIAlign bins per side
    sampling_ratio: Annotated[Whole, within(1, 16)] = 2  # RoIAlign samples per bin and side
    trained_blocks: Annotated[Whole, within(0, 1000)] | None = None  # the last ones; null: everything, 0: nothing
    pretrained: Switch = True  # false keeps the architecture with random weights (a control)


class DinoV2(PatchTokens):
    """Tokens of the last layer, and embeddings from them.

    Args:
        encoder: transformers' model; copied, the caller's stays as it is.
        sizes: its config, which `build_dinov2` reads.
        params: regions, and what is trained.
        embed_dim: D of the projection.
    """

    Params = DinoV2Params
    from_scratch = ("projection.",)
    frozen_by = "model.dinov2.trained_blocks to 0"
    pixel_scale: Tensor
    pixel_shift: Tensor

    def __init__(self, encoder: nn.Module, sizes: Mapping[str, Any], params: DinoV2Params, embed_dim: int) -> None:
        super().__init__()
        self.params, self.sizes, self.embed_dim = params, dict(sizes), embed_dim
        self.encoder: Any = copy.deepcopy(encoder)
        self.projection = nn.Linear(self.patch_width, embed_dim)
        train_last_blocks(self.encoder, self.blocks, params.trained_blocks, (self.encoder.layernorm,))
        scale, shift = renormalization(_MEAN, _STD)
        self.register_buffer("pixel_scale", scale, persistent=False)
        self.register_buffer("pixel_shift", shift, persistent=False)

    @property
    def blocks(self) -> Any:
        """The transformer's blocks."""
        return self.encoder.encoder.layer

    @classmethod
    def build(cls, sources: Sources, params: DinoV2Params) -> Self:
        """The DINOv2 that params name, or one of its architecture with random weights.

        Raises:
            ParamError: its patches do not divide the images.
            WeightsError: as `find_dinov2` and `load_dinov2`.
        """
        files = find_dinov2(params.weights, sources.root)
        sizes = dinov2_config(files.config)
        with torch.random.fork_rng(devices=[]):  # the projection must not depend on how many numbers loading draws
            encoder = load_dinov2(files) if params.pretrained else build_dinov2(sizes, str(files.config))
        check_patches(sources.image_size, encoder.config.patch_size, "DINOv2's")
        sources.note(files.config)
        if params.pretrained:
            sources.note(files.weights)
        return cls(encoder, sizes, params, sources.embed_dim)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of `config`."""
        sizes = config["sizes"]
        return cls(build_dinov2(sizes, "config.json"), sizes, DinoV2Params(**config["params"]), config["embed_dim"])

    @property
    def config(self) -> dict[str, Any]:
        """Sizes and settings."""
        return {"sizes": self.sizes, "params": asdict(self.params), "embed_dim": self.embed_dim}

    def encoded(self, images: Tensor) -> tuple[Tensor, ...]:
        """Tokens of the last layer without registers, normalized [I, 1 + P, W]; other sizes interpolate positions."""
        tokens = self.encoder.embeddings(images * self.pixel_scale + self.pixel_shift)
        for block in self.blocks:
            tokens = self.run_block(block, tokens)
        tokens = self.encoder.layernorm(tokens)
        side = images.shape[3] // self.encoder.config.patch_size
        return (torch.cat([tokens[:, :1], tokens[:, -side * side :]], 1),)

    def project(self, tokens: Tensor) -> Tensor:
        """A learned projection."""
        projected: Tensor = self.projection(tokens)
        return projected

    @property
    def patch_width(self) -> int:
        """W of the tokens."""
        return int(self.encoder.config.hidden_size)


BACKBONE = DinoV2
