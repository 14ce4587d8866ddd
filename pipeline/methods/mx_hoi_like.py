"""`mx_hoi_like`: a reconstruction of MX-HOI (Kumaraswamy et al., WACV 2021), whose code was never published.

Mixed supervision: some training images have boxes, the others image-level labels. After the paper:

- One network of human appearance, object appearance and layout scores the verbs of a pair. Images without boxes train
  it by their best pair (MIL), images with boxes pair by pair.
- Momentum-independent learning: a batch is of one kind of supervision, and the optimizer keeps a momentum of its own
  for each kind over the shared weights (`separates_supervision`).
- Element swapping: the object of a pair that interacts is swapped with a region of another image. A person never
  interacts with what is in another image, so such pairs are negatives, and hard ones: the person still does something.

What the paper leaves open is chosen here. Backbone and pairs are those of all methods. Second moments and step counts
of Adam are apart as well. Images without boxes have swapped pairs, too: of the best pair of each labeled verb, in place
of the annotated pairs. The region comes with its place from the next image of the batch that has a pair; where ranks
share a batch, from the next image of the rank: there, ranks change the result.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.core.outputs import OutputColumn
from pipeline.methods.base import BatchCounts, HoiNetwork, Losses, Method, Outputs, Parts
from pipeline.methods.box_labels import annotated_verbs
from pipeline.methods.image_labels import LabeledClasses, summed_bce
from pipeline.methods.pair_chunks import over_pairs
from pipeline.methods.pair_trunk import PairTrunk, PairTrunkParams, mlp, set_output_bias
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_max


class MxHoiNetwork(HoiNetwork):
    """Outputs: interaction_logits [M, A], and in training swapped_logits [M, A] of the same pairs with other objects.

    There are no swapped_logits where fewer than two images of the batch have a pair.
    """

    def __init__(self, parts: Parts, params: PairTrunkParams) -> None:
        super().__init__()
        width, hidden = parts.backbone.embed_dim, params.pair_hidden
        self.backbone = parts.backbone
        self.trunk = PairTrunk(width, params)
        self.interaction_head = mlp(width, hidden, parts.vocabulary.num_verbs, params.dropout)
        set_output_bias(self.interaction_head, params.verb_bias)

    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Score the pairs of a batch."""
        features = self.backbone.features_of(batch)
        appearance = self.trunk.appearance(self.backbone, features, batch)
        return over_pairs(partial(self._scored, batch, appearance), pairs, self.backbone)

    def _scored(self, batch: BagBatch, appearance: Tensor, pairs: PairIndex) -> Outputs:
        """Outputs [M, *] of pairs: of all of the batch in training, where gradients are computed."""
        human = appearance[pairs.human], batch.boxes[pairs.human]
        outputs = {"interaction_logits": self._logits(batch, pairs, human, pairs.object, appearance, pairs.image)}
        if self.training and len(pairs.bags) > 1:
            swapped = next_images_pair(pairs)
            image, partner = pairs.image[swapped], pairs.object[swapped]
            outputs["swapped_logits"] = self._logits(batch, pairs, human, partner, appearance, image)
        return outputs

    def _logits(
        self,
        batch: BagBatch,
        pairs: PairIndex,
        human: tuple[Tensor, Tensor],
        partner: Tensor,
        appearance: Tensor,
        partner_image: Tensor,
    ) -> Tensor:
        """Verb logits [M, A] of the pairs' humans with proposals `partner` [M], placed as in their own images."""
        sizes = batch.image_sizes[pairs.image]
        boxes = batch.boxes[partner] * (sizes / batch.image_sizes[partner_image]).repeat(1, 2)
        logits: Tensor = self.interaction_head(self.trunk.join(human[0], appearance[partner], human[1], boxes, sizes))
        return logits


def next_images_pair(pairs: PairIndex) -> Tensor:
    """For each pair, a pair of the next image that has one, int64 [M]: at the same place, counted round its pairs.

    Batches are shuffled, so that the next image is any image.
    """
    place = torch.arange(len(pairs), device=pairs.image.device) - pairs.offsets[pairs.image]
    following = torch.searchsorted(pairs.bags, pairs.image) + 1
    image = pairs.bags[following % len(pairs.bags)]
    return pairs.offsets[image] + place % pairs.offsets.diff()[image]


class MxHoiLosses(Losses):
    """Verbs of images without boxes by MIL, of images with boxes by pair, and none for swapped pairs."""

    def __init__(self, classes: LabeledClasses) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the terms; those of the other kind of supervision are 0."""
        logits, bags = outputs["interaction_logits"], pairs.bags
        verbs = self.classes.verbs(batch.labels)
        annotated = annotated_verbs(batch, pairs, self.classes.hoi_to_verb)
        best = segment_max(logits, pairs.image, len(batch))
        strong, seen = batch.has_boxes[:, None], self.classes.seen_verbs
        terms = {
            "weak": summed_bce(best[bags], verbs[bags], ~strong[bags] & seen),
            "boxes": summed_bce(logits, annotated, strong[pairs.image] & seen),
            "swapped": self._swapped(outputs, batch, pairs, verbs, annotated),
        }
        return {name: term / whole.images for name, term in terms.items()}

    def _swapped(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, verbs: Tensor, annotated: Tensor) -> Tensor:
        """No verb for swapped pairs, whose own object is part of an interaction, as far as is known."""
        logits = outputs["interaction_logits"]
        if "swapped_logits" not in outputs:
            return logits.new_zeros(())
        best = segment_max(logits.detach(), pairs.image, len(batch))[pairs.image]
        likely = (logits.detach() >= best) & verbs[pairs.image]
        strong = batch.has_boxes[pairs.image]
        acting = torch.where(strong[:, None], annotated > 0, likely).any(1, keepdim=True)
        return summed_bce(outputs["swapped_logits"], torch.zeros_like(logits), acting & self.classes.seen_verbs)


class MxHoiLike(Method):
    """Mixed supervision with moments of its own for each kind."""

    Params = PairTrunkParams
    params: PairTrunkParams
    takes_boxes = True
    couples_images = True  # swapped objects are of the next image
    separates_supervision = True
    columns = (OutputColumn("interaction_logits", "pair", "verbs", "pairwise"),)
    loss_names = ("weak", "boxes", "swapped")

    def build(self, parts: Parts) -> MxHoiNetwork:
        """One network for both kinds of supervision."""
        return MxHoiNetwork(parts, self.params)

    def losses(self, classes: LabeledClasses) -> Losses:
        """Terms of both kinds, and of swapped pairs."""
        return MxHoiLosses(classes)


METHOD = MxHoiLike
