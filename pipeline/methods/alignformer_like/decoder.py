"""A small transformer decoder: from patches of an image to a set of pairs, one for each query.

I images, P patches, E patch width, Q queries, L layers, A verbs, C object categories, W width of the decoder.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.alignformer_like.params import AlignFormerParams
from pipeline.methods.pair_trunk import mlp, set_output_bias

_FREQUENCIES = 8  # of the encoding of a coordinate
_SMALLEST = 1e-3  # of a coordinate in 0..1, whose logit is taken


class PairDecoder(nn.Module):
    """DETR's decoder with boxes that each layer refines, and attention around them.

    Half of a layer's heads look around the query's human box, the others around its object box (SMCA, Gao et al. 2021).
    """

    def __init__(self, patch_width: int, vocabulary: Vocabulary, params: AlignFormerParams) -> None:
        super().__init__()
        width, self.heads = params.width, params.heads
        self.patches = nn.Sequential(nn.Linear(patch_width, width), nn.LayerNorm(width))
        self.patch_position = nn.Linear(4 * _FREQUENCIES, width)
        self.box_position = mlp(16 * _FREQUENCIES, width, width, 0.0)
        self.content = nn.Parameter(torch.randn(params.queries, width))
        self.anchors = nn.Parameter(_first_boxes(params.queries))
        self.layers = nn.ModuleList(DecoderLayer(params) for _ in range(params.layers))
        self.boxes = mlp(width, width, 8, 0.0)
        self.categories = nn.Linear(width, vocabulary.num_objects)
        self.verbs = mlp(width, params.pair_hidden, vocabulary.num_verbs, params.dropout)
        for parameter in self.boxes[-1].parameters():  # refinement starts at none
            nn.init.zeros_(parameter)
        set_output_bias(self.verbs, params.verb_bias)

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        """Decode patches [I, P, E], row-major over a square grid.

        Returns:
            query_boxes [L, I, Q, 2, 4], human and object, (center x, center y, width, height) in 0..1 of the image;
            query_categories [L, I, Q, C] and query_verbs [L, I, Q, A], logits.
        """
        centers = _grid(patches.shape[1]).to(patches.device)  # [P, 2]
        memory, memory_position = self.patches(patches), self.patch_position(_waves(centers))
        hidden = self.content.expand(len(patches), -1, -1)
        boxes = self.anchors.sigmoid().expand(len(patches), -1, -1, -1)  # [I, Q, 2, 4]
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for layer in self.layers:
            start = boxes.detach() if found else boxes  # the first layer trains the anchors, too
            position = self.box_position(_waves(start.flatten(2)))
            nearness = _nearness(start, centers, self.heads)
            hidden = layer(hidden, position, memory, memory_position, nearness)
            boxes = torch.sigmoid(_logit(start) + self.boxes(hidden).unflatten(2, (2, 4)))
            found.append((boxes, self.categories(hidden), self.verbs(hidden)))
        names = ("query_boxes", "query_categories", "query_verbs")
        stacked = [torch.stack(values) for values in zip(*found, strict=True)]
        return dict(zip(names, stacked, strict=True))


class DecoderLayer(nn.Module):
    """Queries look at each other, then at the patches; norms come last, as in DETR."""

    def __init__(self, params: AlignFormerParams) -> None:
        super().__init__()
        width, dropout = params.width, params.dropout
        self.between = nn.MultiheadAttention(width, params.heads, dropout=dropout, batch_first=True)
        self.across = nn.MultiheadAttention(width, params.heads, dropout=dropout, batch_first=True)
        self.forward_network = mlp(width, params.pair_hidden, width, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, hidden: Tensor, position: Tensor, memory: Tensor, memory_position: Tensor, nearness: Tensor
    ) -> Tensor:
        """Hidden states [I, Q, W] of the queries after this layer.

        Args:
            hidden, position: of the queries [I, Q, W].
            memory: patches [I, P, W]; memory_position: of them [P, W].
            nearness: added to the logits of the attention to patches [I * heads, Q, P].
        """
        placed = hidden + position
        seen, _ = self.between(placed, placed, hidden, need_weights=False)
        hidden = self.norms[0](hidden + self.dropout(seen))
        keys = memory + memory_position
        seen, _ = self.across(hidden + position, keys, memory, attn_mask=nearness, need_weights=False)
        hidden = self.norms[1](hidden + self.dropout(seen))
        last: Tensor = self.norms[2](hidden + self.dropout(self.forward_network(hidden)))
        return last


def _first_boxes(queries: int) -> Tensor:
    """Logits of where queries start [Q, 2, 4]: humans anywhere, objects near them."""
    human = 0.1 + 0.8 * torch.rand(queries, 2)
    partner = (human + 0.15 * torch.randn(queries, 2)).clamp(0.05, 0.95)
    extent = 0.15 + 0.35 * torch.rand(queries, 2, 2)
    return _logit(torch.cat([torch.stack([human, partner], 1), extent], 2))


def _logit(boxes: Tensor) -> Tensor:
    return torch.logit(boxes, eps=_SMALLEST)


def _grid(num_patches: int) -> Tensor:
    """Centers (x, y) of the patches of a square grid in 0..1, [P, 2]."""
    side = math.isqrt(num_patches)
    line = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def _waves(coordinates: Tensor) -> Tensor:
    """Sine and cosine of coordinates [*, K] in 0..1 at rising frequencies, [*, 2 K * _FREQUENCIES]."""
    frequencies = math.pi * 2 ** torch.linspace(0, 5, _FREQUENCIES, device=coordinates.device)
    angles = (coordinates[..., None] * frequencies).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], -1)


def _nearness(boxes: Tensor, centers: Tensor, heads: int) -> Tensor:
    """Logarithm of a Gaussian around boxes [I, Q, 2, 4] at patches [P, 2], [I * heads, Q, P]; half of the heads each.

    Its standard deviation is half the box's side.
    """
    spread = (boxes[..., 2:] / 2).clamp(min=0.05)
    z = (centers - boxes[..., None, :2]) / spread[..., None, :]  # [I, Q, 2, P, 2]
    log = -0.5 * z.square().sum(-1).movedim(2, 1)  # [I, 2, Q, P]
    return log.repeat_interleave(heads // 2, 1).flatten(0, 1)
