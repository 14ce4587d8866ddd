"""`bilevel_boxes`: the paper's network trained with annotated boxes, of all images or of some: what boxes are worth.

Of an image with boxes, it is known which pair does a verb. The losses of image-level labels stay, and learn more:

- L_x. The verb score of a pair is sigmoid(best pair of its bag) x softmax over the pairs of the bag (sec. 3.2.5; a bag
  is the image, or its pairs of one object category). L_p trains the first factor, and L_x the second:
  cross-entropy of the softmax with the annotated pairs.
- L_p over bags by category: a bag has the verbs of its annotated pairs, whatever the label of the image says. A verb
  whose pair the detector missed is none of its bag, where every pair would be a false positive.
- L_b takes the annotated pairs for its labels, in place of pseudo labels.

Binary cross-entropy of each pair and verb, in place of L_p and L_x, is the common choice. It trains sigmoids of single
pairs, which is not the score that pairs are ranked by.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.methods.base import Losses, Outputs
from pipeline.methods.bilevel.category_bags import CategoryBags
from pipeline.methods.bilevel.losses import BilevelLosses
from pipeline.methods.bilevel.method import Bilevel
from pipeline.methods.box_labels import annotated_verbs
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_log_softmax, segment_sum


class BoxLosses(BilevelLosses):
    """L_g, L_p, L_b and L_x; the last is of images with boxes only."""

    def sums(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, bags: CategoryBags) -> dict[str, Tensor]:
        """The terms of image-level labels, and L_x."""
        by_category = self.params.bags == "category"
        bag, count = (bags.of_pair, len(bags)) if by_category else (pairs.image, len(batch))
        localization = localization_loss(outputs["interaction_logits"], self._annotated(batch, pairs), bag, count)
        return {**super().sums(outputs, batch, pairs, bags), "boxes": localization}

    def bags(self, batch: BagBatch, pairs: PairIndex) -> CategoryBags:
        """Bags by image and object category; where the image has boxes, with the verbs of annotated pairs."""
        bags = super().bags(batch, pairs)
        annotated = segment_sum(self._annotated(batch, pairs), bags.of_pair, len(bags)) > 0
        strong = batch.has_boxes.repeat_interleave(len(bags) // max(len(batch), 1))[:, None]
        return replace(bags, labels=torch.where(strong, annotated & bags.classes, bags.labels))

    def relatedness_labels(self, logits: Tensor, batch: BagBatch, pairs: PairIndex, bags: CategoryBags) -> Tensor:
        """The annotated pairs where the image has boxes, float32 [M]; pseudo labels elsewhere."""
        annotated = self._annotated(batch, pairs).any(1)
        pseudo = super().relatedness_labels(logits, batch, pairs, bags)
        return torch.where(batch.has_boxes[pairs.image], annotated.to(pseudo.dtype), pseudo)

    def _annotated(self, batch: BagBatch, pairs: PairIndex) -> Tensor:
        return annotated_verbs(batch, pairs, self.classes.hoi_to_verb)


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
