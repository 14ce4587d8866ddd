"""CLIP's text encoder over fixed sentences, as a module of its own: what a method that trains on texts starts from."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.store.openai_clip import CLIP


class ClipText(nn.Module):
    """CLIP's text half, copied, and the tokens of its sentences; gives what CLIP's `encode_text` gives.

    Args:
        model: CLIP, float32; stays as it is.
        tokens: int64 [n, L], as CLIP's tokenizer makes them.
    """

    tokens: Tensor

    def __init__(self, model: CLIP, tokens: Tensor) -> None:
        super().__init__()
        length = int(tokens.argmax(1).max()) + 1  # the end token has the highest id; nothing behind it is read
        self.register_buffer("tokens", tokens[:, :length])
        self.token_embedding = copy.deepcopy(model.token_embedding)
        self.positional_embedding = nn.Parameter(model.positional_embedding.detach()[:length].clone())
        self.blocks: nn.Sequential = copy.deepcopy(model.transformer.resblocks)
        for block in self.blocks:
            block.attn_mask = block.attn_mask[:length, :length]
        self.norm = copy.deepcopy(model.ln_final)
        self.projection = nn.Parameter(model.text_projection.detach().clone())

    def forward(self) -> Tensor:
        """Embeddings of the sentences at unit length, [n, D]."""
        hidden = self.token_embedding(self.tokens) + self.positional_embedding  # [n, L, W]
        hidden = self.norm(self.blocks(hidden.transpose(0, 1)).transpose(0, 1))
        ends = hidden[torch.arange(len(hidden), device=hidden.device), self.tokens.argmax(1)]  # [n, W]
        return functional.normalize(ends @ self.projection, dim=1)
