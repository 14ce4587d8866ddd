"""`clip_vit`: CLIP's vision transformer; regions are RoIAligned from its last layer's projected patches."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.backbones.attention_pooling import positional_embedding
from pipeline.backbones.base import Sources
from pipeline.backbones.low_rank import TARGETS, LowRank, changed_attention
from pipeline.backbones.patch_tokens import PatchTokens, check_patches, train_last_blocks
from pipeline.config.types import KnownKeys, Switch, Whole, within
from pipeline.core.errors import ParamError
from pipeline.store.clip_architecture import Activation, activation_of, set_activation
from pipeline.store.openai_clip import VisionTransformer


@dataclass(frozen=True)
class ViTConfig:
    """Architecture of a `clip.model.VisionTransformer`; enough to build it without its weights."""

    resolution: int
    patch_size: int
    width: int
    layers: int
    heads: int
    output_dim: int
    activation: Activation

    @classmethod
    def of(cls, visual: VisionTransformer) -> ViTConfig:
        """Read the architecture off a module."""
        return cls(
            resolution=visual.input_resolution,
            patch_size=visual.conv1.kernel_size[0],
            width=visual.conv1.out_channels,
            layers=visual.transformer.layers,
            heads=visual.transformer.resblocks[0].attn.num_heads,
            output_dim=visual.output_dim,
            activation=activation_of(visual.transformer),
        )

    def build(self) -> VisionTransformer:
        """Return a module of this architecture with fresh random weights."""
        sizes = self.resolution, self.patch_size, self.width, self.layers, self.heads, self.output_dim
        visual = VisionTransformer(*sizes)
        set_activation(visual.transformer, self.activation)
        return visual


@dataclass(frozen=True)
class ClipViTParams(KnownKeys):
    """Settings of `clip_vit`."""

    regions: Literal["tokens", "values"] = "tokens"  # values: without the last attention (MaskCLIP)
    roi_size: Annotated[Whole, within(1, 32)] = 4  # RoIAlign bins per side
    sampling_ratio: Annotated[Whole, within(1, 16)] = 2  # RoIAlign samples per bin and side
    trained_blocks: Annotated[Whole, within(0, 1000)] | None = None  # the last ones; null: everything, 0: nothing
    lora_rank: Annotated[Whole, within(0, 1024)] = 0  # of changes of the attention in all other blocks; 0: none
    pretrained: Switch = True  # false keeps CLIP's architecture with random weights (a control)


class ClipViT(PatchTokens):
    """Tokens of the last layer, and region embeddings from them.

    Args:
        visual: CLIP's visual encoder; copied, the caller's module stays as it is.
        params: regions, and what is trained.
    """

    Params = ClipViTParams
    from_scratch = ("changes.",)
    frozen_by = "model.clip_vit.trained_blocks to 0 and lora_rank to 0"

    def __init__(self, visual: VisionTransformer, params: ClipViTParams) -> None:
        super().__init__()
        self.params, self.visual_config = params, ViTConfig.of(visual)
        self.visual: Any = copy.deepcopy(visual)
        self.embed_dim = visual.output_dim
        then = (self.visual.ln_post, self.visual.proj)
        frozen = train_last_blocks(self.visual, self.blocks, params.trained_blocks, then)
        width, changed = self.visual_config.width, range(frozen) if params.lora_rank else ()
        self.changes = nn.ModuleDict(
            {f"{block}_{name}": LowRank(width, params.lora_rank) for block in changed for name in TARGETS}
        )

    @property
    def blocks(self) -> Any:
        """The transformer's blocks."""
        return self.visual.transformer.resblocks

    @classmethod
    def build(cls, sources: Sources, params: ClipViTParams) -> Self:
        """CLIP's visual encoder, or one of its architecture with random weights.

        Raises:
            ParamError: CLIP's encoder is a ResNet, its patches do not divide the images, or no block is left for LoRA.
        """
        visual = sources.clip.model.visual
        if not isinstance(visual, VisionTransformer):
            raise ParamError(
                f"model.backbone is clip_vit, but CLIP {sources.clip.name} has a ResNet; set model.backbone to "
                "clip_resnet, or model.clip to one with a vision transformer, e.g. ViT-B/16"
            )
        check_patches(sources.image_size, visual.conv1.kernel_size[0], "CLIP's")
        if params.lora_rank and params.trained_blocks is None:
            raise ParamError(
                "model.clip_vit.lora_rank changes blocks that are not trained, but trained_blocks is null: all are; "
                "set trained_blocks to 0"
            )
        return cls(visual if params.pretrained else ViTConfig.of(visual).build(), params)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of `config`."""
        return cls(ViTConfig(**config["visual"]).build(), ClipViTParams(**config["params"]))

    @property
    def config(self) -> dict[str, Any]:
        """Architecture and settings."""
        return {"visual": asdict(self.visual_config), "params": asdict(self.params)}

    def encoded(self, images: Tensor) -> tuple[Tensor, ...]:
        """Tokens of the last layer, normalized [I, P + 1, W]; then those of regions, where they are others."""
        visual = self.visual
        cells = visual.conv1(images)  # [I, W, g, g]
        count, width, *grid = cells.shape
        tokens = torch.cat([visual.class_embedding.expand(count, 1, width), cells.flatten(2).transpose(1, 2)], 1)
        tokens = visual.ln_pre(tokens + positional_embedding(visual.positional_embedding, (grid[0], grid[1])))
        tokens = tokens.transpose(0, 1)  # CLIP's blocks take [P + 1, I, W]
        for number in range(len(self.blocks) - 1):
            tokens = self._block(number, tokens)
        last = self._block(len(self.blocks) - 1, tokens)
        final = visual.ln_post(last.transpose(0, 1))
        if self.params.regions == "tokens":
            return (final,)
        return final, visual.ln_post(self._values(tokens).transpose(0, 1))

    def project(self, tokens: Tensor) -> Tensor:
        """CLIP's own projection; at its own size v_g is `encode_image`."""
        projected: Tensor = tokens @ self.visual.proj
        return projected

    def _block(self, number: int, tokens: Tensor) -> Tensor:
        block = self.blocks[number]
        if matrices := changed_attention(block.attn, self.changes, number):
            weights = {f"attn.{name}": matrix for name, matrix in matrices.items()}
            changed: Tensor = functional_call(block, weights, (tokens,))
            return changed
        ran: Tensor = self.run_block(block, tokens)
        return ran

    def _values(self, tokens: Tensor) -> Tensor:
        """The last block where each token attends to itself alone (MaskCLIP, Zhou et al., ECCV 2022)."""
        block, width = self.blocks[-1], tokens.shape[2]
        weights = changed_attention(block.attn, self.changes, len(self.blocks) - 1)
        into = weights.get("in_proj_weight", block.attn.in_proj_weight)
        out = weights.get("out_proj.weight", block.attn.out_proj.weight)
        values = block.ln_1(tokens) @ into[-width:].T + block.attn.in_proj_bias[-width:]
        tokens = tokens + values @ out.T + block.attn.out_proj.bias
        mixed: Tensor = tokens + block.mlp(block.ln_2(tokens))
        return mixed

    @property
    def patch_width(self) -> int:
        """W of the tokens."""
        return self.visual_config.width


BACKBONE = ClipViT
