"""CLIP's text encoder with low-rank changes of its last attention layers (LoRA), the only trained part of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from pipeline.backbones.clip_text import ClipText
from pipeline.backbones.low_rank import TARGETS, LowRank, changed_attention

_LAYERS = 3  # the last ones
CHANGED = {"none": (), "output": ("output",), "all": TARGETS}  # by `model.regformer.lora`


class AdaptedText(nn.Module):
    """Sentences of verbs through an encoder that changes while training.

    Args:
        text: frozen, with its sentences.
        lora: "output": the output projections of the attention in the last three layers; "all": also query, key, value.
        rank: of the changes.
    """

    def __init__(self, text: ClipText, lora: str, rank: int) -> None:
        super().__init__()
        self.text = text.requires_grad_(False)
        self.layers = range(max(0, len(text.blocks) - _LAYERS), len(text.blocks))
        width = text.positional_embedding.shape[1]
        self.changes = nn.ModuleDict(
            {f"{layer}_{target}": LowRank(width, rank) for layer in self.layers for target in CHANGED[lora]}
        )

    def forward(self) -> Tensor:
        """omega [A, T], unit rows."""
        blocks: Any = self.text.blocks
        weights = {
            f"blocks.{layer}.attn.{name}": matrix
            for layer in self.layers
            for name, matrix in changed_attention(blocks[layer].attn, self.changes, layer).items()
        }
        embeddings: Tensor = functional_call(self.text, weights, ())
        return embeddings
