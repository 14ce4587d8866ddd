"""CLIP's attention pool with the projections absorbed: exact, and far cheaper than projecting every token.

The pool has one query per region (its mean token), so keys and values need not be formed:
logits = (W_k^T q) . x and value = W_v (sum a x); the key bias cancels in the softmax. Parameters are those of
`clip.model.AttentionPool2d`, unchanged, so checkpoints load and results agree.

Regions are pooled some at a time, and the backward pass makes their tokens once more: of all regions at once there are
only the mean token, the query, the attention and the result. R regions, P tokens each, C channels in h heads of w.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from pipeline.store.openai_clip import AttentionPool2d

# Of tokens with mean and position that are there at once. Blocks of this size are used again, while the CPU's allocator
# takes larger ones from the system each time, which clears them first.
_CHUNK_BYTES = 16 * 2**20
_MOST_CHUNKS = 16  # of very many regions, whose own memory is far above that of a chunk


class Tokens(Protocol):
    """Tokens [R, P, C] that are linear in values, and made of them for some regions at a time."""

    @property
    def shape(self) -> tuple[int, int]:
        """R and P."""

    def read(self, values: Tensor, rows: slice) -> Tensor:
        """Tokens of some regions."""

    def add_gradient(self, of_values: Tensor, of_tokens: Tensor, rows: slice) -> None:
        """Add to the gradient of the values what that of some regions' tokens gives."""


def attention_pool(
    pool: AttentionPool2d, values: Tensor, grid: tuple[int, int], tokens: Tokens | None = None
) -> Tensor:
    """Pool tokens [R, P, C], row-major over `grid` = (rows, columns), to embeddings [R, D].

    Args:
        values: the tokens; or what `tokens` makes them of.
    """
    tokens = tokens or _Given((values.shape[0], values.shape[1]))
    position = positional_embedding(pool.positional_embedding, grid)
    query, key, value = pool.q_proj, pool.k_proj, pool.v_proj
    weights = query.weight, query.bias, key.weight, value.weight
    pooled: Tensor = pool.c_proj(_Pool.apply(values, position, *weights, pool.num_heads, tokens) + value.bias)
    return pooled


@dataclass(frozen=True)
class _Given:
    """Tokens that are there."""

    shape: tuple[int, int]

    def read(self, values: Tensor, rows: slice) -> Tensor:
        return values[rows]

    def add_gradient(self, of_values: Tensor, of_tokens: Tensor, rows: slice) -> None:
        of_values[rows] = of_tokens


class _Pool(torch.autograd.Function):
    """W_v (sum a x) [R, C]; x are the mean token, then the tokens, plus position [P + 1, C]."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        values, position, query_weight, query_bias, key_weight, value_weight, heads, tokens = arguments
        ctx.heads, ctx.tokens, ctx.dtypes = heads, tokens, [argument.dtype for argument in arguments[:6]]
        (regions, count), channels = tokens.shape, values.shape[-1]
        by_head = (weight.view(heads, -1, channels) for weight in (key_weight, value_weight))
        values, position, query_weight, query_bias, keys, mixing = _for_products(
            values, position, query_weight, query_bias, *by_head
        )
        first, query, result = (values.new_empty(regions, channels) for _ in range(3))
        attention = values.new_empty(regions, heads, count + 1)
        for rows in _chunks(tokens, values):
            extended = _extended(tokens.read(values, rows), position)
            first[rows] = extended[:, 0]
            query[rows] = functional.linear(first[rows], query_weight, query_bias) * keys.shape[1] ** -0.5
            absorbed = torch.bmm(_by_head(query[rows], heads), keys).transpose(0, 1)
            attention[rows] = torch.softmax(absorbed @ extended.transpose(1, 2), -1)
            mixed = torch.bmm(attention[rows], extended)
            result[rows] = torch.bmm(mixed.transpose(0, 1), mixing.transpose(1, 2)).transpose(0, 1).flatten(1)
        ctx.save_for_backward(values, position, query_weight, keys, mixing, first, query, attention)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, position, query_weight, keys, mixing, first, query, attention = ctx.saved_tensors
        heads, tokens, scale = ctx.heads, ctx.tokens, keys.shape[1] ** -0.5
        of_values = _sum_like(values) if ctx.needs_input_grad[0] else None
        of_position, of_keys, of_mixing = _sum_like(position), _sum_like(keys), _sum_like(mixing)
        of_query = torch.empty_like(query)
        for rows in _chunks(tokens, values):
            extended = _extended(tokens.read(values, rows), position)
            asked, gradient = (_by_head(of[rows], heads) for of in (query, gradients[0]))
            weights = attention[rows]
            _add_product(of_mixing, gradient.transpose(1, 2), torch.bmm(weights, extended).transpose(0, 1))
            of_mixed = torch.bmm(gradient, mixing).transpose(0, 1)
            of_weights = torch.bmm(of_mixed, extended.transpose(1, 2))
            of_logits = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_absorbed = torch.bmm(of_logits, extended).transpose(0, 1)
            _add_product(of_keys, asked.transpose(1, 2), of_absorbed)
            of_query[rows] = torch.bmm(of_absorbed, keys.transpose(1, 2)).transpose(0, 1).flatten(1) * scale
            of_extended = torch.bmm(weights.transpose(1, 2), of_mixed)
            of_extended += torch.bmm(of_logits.transpose(1, 2), torch.bmm(asked, keys).transpose(0, 1))
            of_first, of_tokens = of_extended[:, 0], of_extended[:, 1:]
            of_first += of_query[rows] @ query_weight
            of_position += of_extended.sum(0)
            if of_values is not None:
                of_tokens += (of_first / tokens.shape[1])[:, None]
                tokens.add_gradient(of_values, of_tokens, rows)
        of_query_weight = of_query.T @ first
        found = of_values, of_position, of_query_weight, of_query.sum(0), of_keys.flatten(0, 1), of_mixing.flatten(0, 1)
        typed = (sums if sums is None else sums.to(dtype) for sums, dtype in zip(found, ctx.dtypes, strict=True))
        return *typed, None, None


def _for_products(*tensors: Tensor) -> list[Tensor]:
    """As autocast multiplies them; else as the first is."""
    device = tensors[0].device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensors[0].dtype
    return [tensor.to(dtype) for tensor in tensors]


def _chunks(tokens: Tokens, values: Tensor) -> Iterator[slice]:
    regions, count = tokens.shape
    at_once = _CHUNK_BYTES // max(1, (count + 1) * values.shape[-1] * values.element_size())
    at_once = max(1, at_once, regions // _MOST_CHUNKS)
    for low in range(0, regions, at_once):
        yield slice(low, min(low + at_once, regions))


def _extended(tokens: Tensor, position: Tensor) -> Tensor:
    """Tokens [R, P, C] behind their mean, plus position [P + 1, C]: [R, P + 1, C]."""
    regions, count, channels = tokens.shape
    extended = tokens.new_empty(regions, count + 1, channels)
    torch.add(tokens.mean(1), position[0], out=extended[:, 0])
    torch.add(tokens, position[1:], out=extended[:, 1:])
    return extended


def _by_head(rows: Tensor, heads: int) -> Tensor:
    """[R, C] to [h, R, w]."""
    return rows.unflatten(1, (heads, -1)).transpose(0, 1)


def _sum_like(tensor: Tensor) -> Tensor:
    """Contiguous zeros of at least single precision, for a sum over chunks."""
    return tensor.new_zeros(tensor.shape, dtype=torch.promote_types(tensor.dtype, torch.float32))


def _add_product(sums: Tensor, left: Tensor, right: Tensor) -> None:
    """Add batched products to a sum, in place."""
    if left.dtype == sums.dtype:
        sums.baddbmm_(left, right)
    else:
        sums += torch.bmm(left, right)


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
