"""CLIP's attention pool with the projections absorbed: exact, and far cheaper than projecting every token.

The pool has one query per region (its mean token), so keys and values need not be formed:
logits = (W_k^T q) . x and value = W_v (sum a x); the key bias cancels in the softmax. Parameters are those of
`clip.model.AttentionPool2d`, unchanged, so checkpoints load and results agree.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.store.openai_clip import AttentionPool2d


def attention_pool(pool: AttentionPool2d, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Pool tokens [R, P, C], row-major over `grid` = (rows, columns), to embeddings [R, D]."""
    position = positional_embedding(pool.positional_embedding, grid)
    tokens = _WithMeanAndPosition.apply(tokens, position.to(tokens.dtype))  # [R, P + 1, C]
    heads, channels = pool.num_heads, tokens.shape[2]
    width = channels // heads
    query = pool.q_proj(tokens[:, 0]).view(-1, heads, width) * width**-0.5
    key_weight = pool.k_proj.weight.view(heads, width, channels)
    value_weight = pool.v_proj.weight.view(heads, width, channels)
    absorbed = torch.einsum("rhd,hdc->rhc", query, key_weight)
    attention = torch.softmax(absorbed @ tokens.transpose(1, 2), -1)  # [R, heads, P + 1]
    mixed = attention @ tokens  # [R, heads, C]
    value = torch.einsum("rhc,hdc->rhd", mixed, value_weight).flatten(1) + pool.v_proj.bias
    pooled: Tensor = pool.c_proj(value)
    return pooled


class _WithMeanAndPosition(torch.autograd.Function):
    """Tokens [R, P, C] behind their mean, plus position [P + 1, C]; written once, where `cat` and a sum write twice."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, position: Tensor) -> Tensor:
        regions, count, channels = tokens.shape
        ctx.count = count
        extended = tokens.new_empty(regions, count + 1, channels)
        torch.add(tokens.mean(1), position[0], out=extended[:, 0])
        torch.add(tokens, position[1:], out=extended[:, 1:])
        return extended

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        gradient = gradients[0]
        return gradient[:, 1:] + gradient[:, :1] / ctx.count, gradient.sum(0)


def positional_embedding(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """A learned positional embedding [side * side + 1, C] for a grid, [rows * columns + 1, C]; its first row stays.

    Other grids than the trained one are interpolated bicubically.
    """
    side = round((len(embedding) - 1) ** 0.5)
    if grid == (side, side):
        return embedding
    cells = embedding[1:].T.reshape(1, -1, side, side)
    resized = functional.interpolate(cells.float(), size=grid, mode="bicubic", align_corners=False)
    return torch.cat([embedding[:1], resized.flatten(2)[0].T.to(embedding.dtype)])
