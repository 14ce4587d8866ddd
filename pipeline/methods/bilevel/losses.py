"""The multi-task loss of eq. (4): image-level HOI recognition, MIL over pairs, self-taught relatedness."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.base import BatchCounts, Losses, Outputs
from pipeline.methods.bilevel.params import BilevelParams
from pipeline.methods.bilevel.pseudo_labels import pseudo_relatedness
from pipeline.methods.image_labels import ImageLabelMasks, mil_loss
from pipeline.methods.pairing import PairIndex


class BilevelLosses(Losses):
    """L_g, L_p and L_b from the network's outputs and image-level labels."""

    def __init__(self, vocabulary: Vocabulary, params: BilevelParams) -> None:
        super().__init__()
        self.params = params
        self.masks = ImageLabelMasks(vocabulary)

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the terms whose parts are switched on."""
        terms = {}
        if self.params.hoi_recognition:
            terms["global"] = _summed_bce(outputs["image_logits"], batch.labels) / whole.images
        verbs = self.masks.verbs(batch.labels)
        terms["pair"] = mil_loss(outputs["interaction_logits"], pairs, verbs) / whole.images
        if self.params.relatedness:
            labels = self.related_pairs(outputs, batch, pairs)
            terms["relatedness"] = _summed_bce(outputs["relatedness_logits"], labels) / whole.images
        return terms

    def related_pairs(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex) -> Tensor:
        """Labels of relatedness, float32 [M]: pseudo labels."""
        return pseudo_relatedness(
            outputs["interaction_logits"],
            pairs,
            batch.object_ids[pairs.object],
            image_verbs=self.masks.verbs(batch.labels),
            image_objects=self.masks.objects(batch.labels),
            top_k=self.params.top_k,
        )


def _summed_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, summed: L_g of s_g [I, H] and image-level labels, L_b of s_b [M] and pseudo labels."""
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")


def calibrated_bias(logits: Tensor, label_rate: float) -> float:
    """Return b with mean sigmoid(logits + b) = label_rate, by bisection: where s_g starts.

    Args:
        logits: CLIP's scaled cosines, any shape.
        label_rate: wanted mean probability, inside 0..1.
    """
    low, high = -1e3, 1e3
    for _ in range(60):  # halvings: float64 has no more digits
        middle = (low + high) / 2
        if torch.sigmoid(logits.double() + middle).mean().item() < label_rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2
