"""What methods over proposals share: region embeddings, appearance and layout of a pair, scores by HOI sentences.

N proposals, M pairs, R regions, A verbs, C object categories, H HOI classes, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.backbones.base import Backbone, Features
from pipeline.config.types import KnownKeys, Real, Switch, Whole, within
from pipeline.core.bags import BagBatch
from pipeline.core.boxes import box_union
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.base import Outputs
from pipeline.methods.pair_chunks import over_rows
from pipeline.methods.pairing import PairIndex
from pipeline.methods.spatial import SpatialEncoder, spatial_encoding

IMPOSSIBLE = -20.0  # logit of a verb that forms no HOI class with the pair's object category


@dataclass(frozen=True)
class PairTrunkParams(KnownKeys):
    """Settings of the parts in this file; defaults are the paper's sizes (App. C)."""

    spatial_hidden: Annotated[Whole, within(1, 16_384)] = 256
    pair_hidden: Annotated[Whole, within(1, 16_384)] = 1024
    spatial_epsilon: Annotated[Real, within(1e-12, 1)] = 1e-6
    dropout: Annotated[Real, within(0, 0.99)] = 0.0
    normalize_rois: Switch = True  # L2-normalize v_h, v_o, v_u
    unit_variance: Switch = True  # scale embeddings by sqrt(D) before an MLP
    global_score: Literal["cosine", "inner_product"] = "cosine"  # similarity to the bank
    verb_bias: Annotated[Real, within(-20, 20)] = -3.0  # verb logits start at it: most pairs do nothing


class PairTrunk(nn.Module):
    """v_p = F_E([v_h; v_o; v_sp]) of pairs (sec. 3.2.3)."""

    def __init__(self, width: int, params: PairTrunkParams) -> None:
        super().__init__()
        self.params = params
        self.spatial = SpatialEncoder(hidden=params.spatial_hidden, width=width, epsilon=params.spatial_epsilon)
        self.pair_embedding = mlp(3 * width, params.pair_hidden, width, params.dropout)  # F_E

    def forward(self, appearance: Tensor, batch: BagBatch, pairs: PairIndex) -> Tensor:
        """v_p [M, D] of pairs, from what `appearance` says of all proposals [N, D]."""
        boxes = batch.boxes[pairs.human], batch.boxes[pairs.object]
        return self.join(appearance[pairs.human], appearance[pairs.object], *boxes, batch.image_sizes[pairs.image])

    def appearance(self, backbone: Backbone, features: Features, batch: BagBatch) -> Tensor:
        """v_h and v_o of all proposals, [N, D]."""
        return to_mlp(_regions(backbone, features, batch, batch.boxes, batch.proposal_image, self.params), self.params)

    def join(self, human: Tensor, partner: Tensor, human_boxes: Tensor, object_boxes: Tensor, sizes: Tensor) -> Tensor:
        """v_p [M, D] of appearances [M, D] and boxes [M, 4], pixels, in images of sizes [M, 2]."""
        layout = self.spatial(spatial_encoding(human_boxes, object_boxes, sizes))
        embedded: Tensor = self.pair_embedding(torch.cat([human, partner, layout], 1))
        return embedded


def union_embeddings(
    backbone: Backbone, features: Features, batch: BagBatch, pairs: PairIndex, params: PairTrunkParams
) -> Tensor:
    """v_u: embeddings of the pairs' union regions [M, D]."""
    boxes = box_union(batch.boxes[pairs.human], batch.boxes[pairs.object])
    return _regions(backbone, features, batch, boxes, pairs.image, params)


def _regions(
    backbone: Backbone, features: Features, batch: BagBatch, boxes: Tensor, image: Tensor, params: PairTrunkParams
) -> Tensor:
    """Embeddings [R, D] of boxes [R, 4] in original pixels."""
    placed = boxes / batch.image_sizes[image].repeat(1, 2)

    def pooled(rows: slice) -> Outputs:
        embeddings = backbone.region_embedding(features, placed[rows], image[rows])
        return {"embeddings": functional.normalize(embeddings, dim=1) if params.normalize_rois else embeddings}

    return over_rows(pooled, len(boxes), backbone)["embeddings"]


def to_mlp(embeddings: Tensor, params: PairTrunkParams) -> Tensor:
    """From unit length, which the bank needs, to unit variance, which an MLP's initial weights are made for."""
    return embeddings * embeddings.shape[1] ** 0.5 if params.unit_variance else embeddings


def bank_logits(embeddings: Tensor, bank: Tensor, logit_scale: Tensor, params: PairTrunkParams) -> Tensor:
    """Similarity of embeddings [R, D] to every HOI class of a bank [H, D], [R, H]."""
    if params.global_score == "inner_product":
        return embeddings @ bank.T
    cosine = functional.normalize(embeddings, dim=1) @ functional.normalize(bank, dim=1).T
    return cosine * logit_scale.exp()


class VerbsOfPairs(nn.Module):
    """From HOI scores of a pair to verb scores: the pair's object category says which HOI class a verb means."""

    hoi_of: Tensor

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        table = torch.from_numpy(vocabulary.hoi_id_table.T.copy())  # [C, A], -1 where there is no such class
        self.register_buffer("hoi_of", table, persistent=False)

    def forward(self, hoi_logits: Tensor, pair_object_ids: Tensor) -> Tensor:
        """Gather [M, A] from HOI logits [M, H]; verbs without a class for that object get `IMPOSSIBLE`."""
        hoi_ids = self.hoi_of[pair_object_ids]  # [M, A]
        gathered = hoi_logits.gather(1, hoi_ids.clamp(min=0))
        return gathered.masked_fill(hoi_ids < 0, IMPOSSIBLE)


def logit_of_log(log_probability: Tensor) -> Tensor:
    """log p to log(p / (1 - p)), finite for every p in 0..1."""
    kept = log_probability.clamp(min=IMPOSSIBLE, max=-1e-6)
    return kept - torch.log(-torch.expm1(kept))


def mlp(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Linear, ReLU, dropout, linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))


def set_output_bias(head: nn.Sequential, value: float) -> None:
    """Start a head's logits at a prior."""
    last = head[-1]
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.bias, value)
