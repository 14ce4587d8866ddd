"""CLIP's attention pool with the projections absorbed: exact, and far cheaper than projecting every token.

The pool has one query per region (its mean token), so keys and values need not be formed:
logits = (W_k^T q) . x and value = W_v (sum a x); the key bias cancels in the softmax. Parameters are those of
`clip.model.AttentionPool2d`, unchanged, so checkpoints load and results agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.store.openai_clip import AttentionPool2d

# Of tokens with mean and position that are there at once. Blocks of this size are used again, while the CPU's allocator
# takes larger ones from the system each time, which clears them first.
_CHUNK_BYTES = 16 * 2**20


def attention_pool(pool: AttentionPool2d, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Pool tokens [R, P, C], row-major over `grid` = (rows, columns), to embeddings [R, D]."""
    position = positional_embedding(pool.positional_embedding, grid).to(tokens.dtype)
    heads, channels = pool.num_heads, tokens.shape[2]
    width = channels // heads
    first = _MeanToken.apply(tokens, position[0])
    query = pool.q_proj(first).view(-1, heads, width) * width**-0.5
    key_weight = pool.k_proj.weight.view(heads, width, channels)
    value_weight = pool.v_proj.weight.view(heads, width, channels)
    absorbed = torch.einsum("rhd,hdc->rhc", query, key_weight)
    first, tokens, position = (values.to(absorbed.dtype) for values in (first, tokens, position))  # autocast's products
    mixed = _Attend.apply(absorbed, first, tokens, position[1:])
    value = torch.einsum("rhc,hdc->rhd", mixed, value_weight).flatten(1) + pool.v_proj.bias
    pooled: Tensor = pool.c_proj(value)
    return pooled


class _MeanToken(torch.autograd.Function):
    """Mean of tokens [R, P, C] plus its position [C]; its gradient is one row for all tokens, never written out."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, position: Tensor) -> Tensor:
        ctx.shape = tokens.shape
        return tokens.mean(1) + position

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        gradient = gradients[0]
        return (gradient / ctx.shape[1])[:, None].expand(ctx.shape), gradient.sum(0)


class _Attend(torch.autograd.Function):
    """softmax(absorbed x^T) x of absorbed queries [R, heads, C], [R, heads, C]; x are the tokens with their position.

    x has the mean token [R, C] first, then the tokens [R, P, C] plus position [P, C]; it is made for some regions at a
    time, here and in the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, absorbed: Tensor, first: Tensor, tokens: Tensor, position: Tensor) -> Tensor:
        regions, heads, channels = absorbed.shape
        attention = absorbed.new_empty(regions, heads, tokens.shape[1] + 1)
        mixed = absorbed.new_empty(regions, heads, channels)
        for rows in _chunks(tokens):
            extended = _extended(first[rows], tokens[rows], position)
            attention[rows] = torch.softmax(absorbed[rows] @ extended.transpose(1, 2), -1)
            torch.bmm(attention[rows], extended, out=mixed[rows])
        ctx.save_for_backward(absorbed, first, tokens, position, attention)
        return mixed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        absorbed, first, tokens, position, attention = ctx.saved_tensors
        of_absorbed = torch.empty_like(absorbed)
        of_first, of_tokens, of_position = torch.empty_like(first), torch.empty_like(tokens), torch.zeros_like(position)
        for rows in _chunks(tokens):
            gradient, weights = gradients[0][rows], attention[rows]
            extended = _extended(first[rows], tokens[rows], position)
            of_weights = gradient @ extended.transpose(1, 2)
            of_logits = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_absorbed[rows] = of_logits @ extended
            of_extended = weights.transpose(1, 2) @ gradient
            of_extended += of_logits.transpose(1, 2) @ absorbed[rows]
            of_first[rows], of_tokens[rows] = of_extended[:, 0], of_extended[:, 1:]
            of_position += of_tokens[rows].sum(0)
        return of_absorbed, of_first, of_tokens, of_position


def _chunks(tokens: Tensor) -> Iterator[slice]:
    regions, count, channels = tokens.shape
    at_once = max(1, _CHUNK_BYTES // max(1, (count + 1) * channels * tokens.element_size()))
    for low in range(0, regions, at_once):
        yield slice(low, min(low + at_once, regions))


def _extended(first: Tensor, tokens: Tensor, position: Tensor) -> Tensor:
    """Tokens [R, P, C] plus position [P, C], behind the first [R, C]: [R, P + 1, C]."""
    regions, count, channels = tokens.shape
    extended = tokens.new_empty(regions, count + 1, channels)
    extended[:, 0] = first
    torch.add(tokens, position, out=extended[:, 1:])
    return extended


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
