"""The two-branch network of section 3.2: image-level HOI scores, and per-pair interaction and relatedness scores.

One forward pass takes all images of a batch, ragged: each proposal is pooled once for its human and object roles, each
union region once.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from pipeline.backbones.base import Features
from pipeline.core.bags import BagBatch
from pipeline.methods.base import HoiNetwork, Outputs, Parts
from pipeline.methods.bilevel.params import BilevelParams
from pipeline.methods.pair_chunks import over_pairs
from pipeline.methods.pair_trunk import (
    PairTrunk,
    VerbsOfPairs,
    bank_logits,
    mlp,
    set_output_bias,
    to_mlp,
    union_embeddings,
)
from pipeline.methods.pairing import PairIndex


class BilevelNetwork(HoiNetwork):
    """HOI recognition, knowledge transfer and pairwise classification networks on a backbone.

    Outputs: image_logits s_g [I, H], interaction_logits s_p [M, A], relatedness_logits s_b [M], and the relation-aware
    representation of eq. (1) [M, D]. Beyond the paper: union_log_probabilities [M, A]; with R refinement heads,
    interaction_logits are the mean of their refinement_logits [R, M, A], and bag_logits [M, A] those that bags teach.
    """

    sentences: Tensor  # W_T as it was before training, [H, D]

    def __init__(self, parts: Parts, params: BilevelParams) -> None:
        super().__init__()
        self.params = params
        width, num_verbs = parts.backbone.embed_dim, parts.vocabulary.num_verbs
        self.backbone = parts.backbone
        self.bank = nn.Parameter(parts.bank.clone(), requires_grad=not params.freeze_bank)
        self.logit_scale = nn.Parameter(torch.tensor(parts.logit_scale))
        self.global_bias = nn.Parameter(torch.zeros(()))
        self.trunk = PairTrunk(width, params)
        self.fusion = mlp(width, params.pair_hidden, width, params.dropout)  # F_K
        self.interaction_head = mlp(width, params.pair_hidden, num_verbs, params.dropout)  # F_P
        self.relatedness_head = mlp(width, params.pair_hidden, 1, params.dropout)  # F_B
        set_output_bias(self.interaction_head, params.verb_bias)
        set_output_bias(self.relatedness_head, params.relatedness_bias)
        heads = [mlp(width, params.pair_hidden, num_verbs, params.dropout) for _ in range(params.refinement_heads)]
        for head in heads:
            set_output_bias(head, params.verb_bias)
        self.refinement_heads = nn.ModuleList(heads)
        if params.union_score:
            self.register_buffer("sentences", parts.bank.clone())
            self.verbs_of_pairs = VerbsOfPairs(parts.vocabulary)

    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Run both branches over a batch."""
        features = self.backbone.features_of(batch)
        appearance = self.trunk.appearance(self.backbone, features, batch)
        outputs = over_pairs(partial(self._of_pairs, batch, features, appearance), pairs, self.backbone)
        if self.refinement_heads:
            refined = torch.stack([outputs.pop(name) for name in self._refined])
            outputs |= {
                "bag_logits": outputs["interaction_logits"],
                "refinement_logits": refined,
                "interaction_logits": refined.mean(0),
            }
        if self.params.hoi_recognition:
            outputs["image_logits"] = self.image_logits(features)
        return outputs

    @property
    def _refined(self) -> list[str]:
        return [f"refined {number}" for number in range(len(self.refinement_heads))]

    def _of_pairs(self, batch: BagBatch, features: Features, appearance: Tensor, pairs: PairIndex) -> Outputs:
        """What is computed of each pair by itself, [M, *]; logits of the refinement heads one by one."""
        embedded = self.trunk(appearance, batch, pairs)  # v_p
        union = self._union(batch, features, pairs)
        representation = self._representation(embedded, union)
        outputs = {"representation": representation, "interaction_logits": self.interaction_head(representation)}
        for name, head in zip(self._refined, self.refinement_heads, strict=True):
            outputs[name] = head(representation)
        if union is not None and self.params.union_score:
            outputs["union_log_probabilities"] = self._sentence_log_probabilities(union, batch.object_ids[pairs.object])
        if self.params.relatedness:
            outputs["relatedness_logits"] = self.relatedness_head(representation).squeeze(1)
        return outputs

    def image_logits(self, features: Features) -> Tensor:
        """s_g [I, H] (sec. 3.2.2): the bank as a classifier of v_g."""
        return self._bank_logits(self.backbone.global_embedding(features), self.bank) + self.global_bias

    def _union(self, batch: BagBatch, features: Features, pairs: PairIndex) -> Tensor | None:
        """v_u [M, D], where something reads it."""
        if self.params.ktn == "none" and not self.params.union_score:
            return None
        return union_embeddings(self.backbone, features, batch, pairs, self.params)

    def _representation(self, embedded: Tensor, union: Tensor | None) -> Tensor:
        """The representation of eq. (1), [M, D], from v_p and v_u."""
        if union is not None and self.params.ktn != "none":
            bank = self.bank.detach() if self.params.detach_bank else self.bank
            meta = meta_embedding(union, bank, self._bank_logits(union, bank), mode=self.params.ktn)
            embedded = embedded + to_mlp(meta, self.params)
        fused: Tensor = self.fusion(embedded)
        return fused

    def _sentence_log_probabilities(self, union: Tensor, pair_object_ids: Tensor) -> Tensor:
        """Logarithm of the softmax over all HOI sentences of v_u's similarity to them, [M, A]."""
        return self.verbs_of_pairs(self._bank_logits(union, self.sentences).log_softmax(1), pair_object_ids)

    def _bank_logits(self, embeddings: Tensor, bank: Tensor) -> Tensor:
        return bank_logits(embeddings, bank, self.logit_scale, self.params)


def meta_embedding(union: Tensor, bank: Tensor, logits: Tensor, *, mode: str) -> Tensor:
    """v_meta [M, D] of eq. (1): what the pairs' union regions recall from the knowledge bank, or a variant of App. E.

    Args:
        union: v_u [M, D].
        bank: W_T [H, D].
        logits: W_T x v_u [M, H].
        mode: `softmax` (the method), `sigmoid` (Exp 13), `uniform` (Exp 12) weights over the bank, or `union`
            (Exp 11), which takes v_u itself and no bank.

    Raises:
        ValueError: unknown mode.
    """
    if mode == "softmax":
        return torch.softmax(logits, 1) @ bank
    if mode == "sigmoid":
        return torch.sigmoid(logits) @ bank
    if mode == "uniform":
        return bank.mean(0).expand(len(union), -1)
    if mode == "union":
        return union
    raise ValueError(f"unknown knowledge transfer mode {mode!r}")
