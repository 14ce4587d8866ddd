"""CLIP's text encoder with low-rank changes of its last attention layers (LoRA), the only trained part of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.backbones.clip_text import ClipText
from pipeline.backbones.low_rank import LowRank

_LAYERS = 3  # the last ones
_IN_ROWS = ("query", "key", "value")  # of the attention's input matrix, in order
TARGETS = {"none": (), "output": ("output",), "all": (*_IN_ROWS, "output")}


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
            {f"{layer}_{target}": LowRank(width, rank) for layer in self.layers for target in TARGETS[lora]}
        )

    def forward(self) -> Tensor:
        """omega [A, T], unit rows."""
        weights: dict[str, Tensor] = {}
        for layer in self.layers:
            prefix = f"blocks.{layer}.attn"
            names = [f"{layer}_{target}" for target in _IN_ROWS]
            if names[0] in self.changes:
                change = torch.cat([self.changes[name]() for name in names])
                weights[f"{prefix}.in_proj_weight"] = self.text.get_parameter(f"{prefix}.in_proj_weight") + change
            out = f"{prefix}.out_proj.weight"
            weights[out] = self.text.get_parameter(out) + self.changes[f"{layer}_output"]()
        embeddings: Tensor = functional_call(self.text, weights, ())
        return embeddings
