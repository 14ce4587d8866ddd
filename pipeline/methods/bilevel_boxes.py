"""`bilevel_boxes`: the paper's network trained with annotated boxes, of all images or of some: what boxes are worth.

Of an image with boxes, it is known which pair does a verb. The losses of image-level labels stay, and two learn more:

- L_x. The verb score of a pair is sigmoid(best pair of the image) x softmax over the pairs of the image (sec. 3.2.5).
  L_p trains the first factor, and L_x the second: cross-entropy of the softmax with the annotated pairs.
- L_b takes the annotated pairs for its labels, in place of pseudo labels.

Binary cross-entropy of each pair and verb, in place of L_p and L_x, is the common choice. It trains sigmoids of single
pairs, which is not the score that pairs are ranked by.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.methods.base import BatchCounts, Losses, Outputs
from pipeline.methods.bilevel.category_bags import CategoryBags
from pipeline.methods.bilevel.losses import BilevelLosses
from pipeline.methods.bilevel.method import Bilevel
from pipeline.methods.box_labels import annotated_verbs
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_log_softmax, segment_sum


class BoxLosses(BilevelLosses):
    """L_g, L_p, L_b and L_x; the last is of images with boxes only."""

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the terms whose parts are switched on."""
        terms = super().forward(outputs, batch, pairs, whole)
        annotated = annotated_verbs(batch, pairs, self.classes.hoi_to_verb)
        if self.params.bags == "category":
            bags = self.bags(batch, pairs)
            localization = localization_loss(outputs["interaction_logits"], annotated, bags.of_pair, len(bags))
        else:
            localization = localization_loss(outputs["interaction_logits"], annotated, pairs.image, len(batch))
        return {**terms, "boxes": localization / whole.images}

    def relatedness_labels(self, logits: Tensor, batch: BagBatch, pairs: PairIndex, bags: CategoryBags) -> Tensor:
        """The annotated pairs where the image has boxes, float32 [M]; pseudo labels elsewhere."""
        annotated = annotated_verbs(batch, pairs, self.classes.hoi_to_verb).any(1)
        pseudo = super().relatedness_labels(logits, batch, pairs, bags)
        return torch.where(batch.has_boxes[pairs.image], annotated.to(pseudo.dtype), pseudo)


def localization_loss(logits: Tensor, annotated: Tensor, bag: Tensor, num_bags: int) -> Tensor:
    """L_x: cross-entropy of the softmax over a bag's pairs with its annotated pairs, summed over bags and verbs.

    The annotated pairs of a verb share its probability alike; a verb that no pair is annotated with adds nothing.

    Args:
        logits: verb logits of the pairs [M, A].
        annotated: `annotated_verbs` [M, A].
        bag: int64 [M], bag of each pair: its image, or its category of the image.
    """
    shares = annotated / segment_sum(annotated, bag, num_bags).clamp(min=1)[bag]
    return -(shares * segment_log_softmax(logits, bag, num_bags)).sum()


class BilevelBoxes(Bilevel):
    """The paper's method with boxes."""

    takes_boxes = True

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Those of image-level labels, and L_x."""
        return (*super().loss_names, "boxes")

    def losses(self, classes: LabeledClasses) -> Losses:
        """All terms."""
        return BoxLosses(classes, self.params)


METHOD = BilevelBoxes
