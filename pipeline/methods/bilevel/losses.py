"""The multi-task loss of eq. (4): image-level HOI recognition, MIL over pairs, self-taught relatedness."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.methods.base import BatchCounts, Losses, Outputs
from pipeline.methods.bilevel.category_bags import (
    CategoryBags,
    bag_loss,
    category_bags,
    refinement_loss,
    refinement_targets,
    related_pairs,
)
from pipeline.methods.bilevel.params import BilevelParams
from pipeline.methods.bilevel.pseudo_labels import pseudo_relatedness
from pipeline.methods.image_labels import LabeledClasses, mil_loss, summed_bce
from pipeline.methods.pairing import PairIndex


class BilevelLosses(Losses):
    """L_g, L_p and L_b from the network's outputs and image-level labels, and what refinement heads add."""

    def __init__(self, classes: LabeledClasses, params: BilevelParams) -> None:
        super().__init__()
        self.params, self.classes = params, classes

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the terms whose parts are switched on."""
        terms = self.sums(outputs, batch, pairs, self.bags(batch, pairs))
        return {name: term / whole.images for name, term in terms.items()}

    def sums(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, bags: CategoryBags) -> dict[str, Tensor]:
        """The terms before they are divided by the number of images."""
        params = self.params
        taught = outputs.get("bag_logits", outputs["interaction_logits"])
        terms = {}
        if params.hoi_recognition:
            terms["global"] = summed_bce(outputs["image_logits"], batch.labels, self.classes.seen)
        if params.bags == "category":
            terms["pair"] = bag_loss(taught, bags)
        else:
            terms["pair"] = mil_loss(taught, pairs, batch.labels, self.classes)
        if params.relatedness:
            related = self.relatedness_labels(outputs["interaction_logits"], batch, pairs, bags)
            terms["relatedness"] = summed_bce(outputs["relatedness_logits"], related)
        if params.refinement_heads:
            terms["refinement"] = self._refinement(outputs, batch, pairs, bags)
        return terms

    def bags(self, batch: BagBatch, pairs: PairIndex) -> CategoryBags:
        """Bags by image and object category, with the verbs that image-level labels give them."""
        return category_bags(batch.labels, pairs, batch.object_ids[pairs.object], self.classes.hoi_of)

    def relatedness_labels(self, logits: Tensor, batch: BagBatch, pairs: PairIndex, bags: CategoryBags) -> Tensor:
        """Labels of relatedness, float32 [M]: pseudo labels from the pairs' verb logits [M, A]."""
        if self.params.bags == "category":
            return related_pairs(logits, bags, self.params.top_k)
        return pseudo_relatedness(
            logits,
            pairs,
            batch.object_ids[pairs.object],
            image_verbs=self.classes.verbs(batch.labels),
            image_objects=self.classes.objects(batch.labels),
            top_k=self.params.top_k,
        )

    def _refinement(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, bags: CategoryBags) -> Tensor:
        """Loss of the refinement heads, each against the best pairs of the one before; grows from 0 to its whole."""
        boxes, teacher = (batch.boxes[pairs.human], batch.boxes[pairs.object]), outputs["bag_logits"]
        loss = teacher.new_zeros(())
        for logits in outputs["refinement_logits"]:
            targets = refinement_targets(teacher, bags, *boxes, self.params.refinement_iou)
            loss = loss + refinement_loss(logits, targets, bags)
            teacher = logits
        ramp = self.params.refinement_ramp
        return loss * (min(1.0, self.progress / ramp) if ramp else 1.0)


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
