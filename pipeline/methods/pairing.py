"""Human-object pairs of a batch, in one pass over all its images.

A pair is any human proposal with any other proposal of the same image whose category takes part in some HOI class.
How many there are depends on the data: pairing on a GPU makes the host wait for it, so pairs are formed on the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.core.bags import BagBatch, TensorFields
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary


@dataclass(frozen=True)
class PairIndex(TensorFields):
    """Pairs of a batch, ordered by image, then human, then object.

    Attributes:
        human, object: int64 [M], rows of the batch's proposals.
        image: int64 [M], non-decreasing.
        offsets: int64 [I + 1], cuts the pairs by image.
        bags: int64 [B], images that have a pair, ascending.
    """

    human: Tensor
    object: Tensor
    image: Tensor
    offsets: Tensor
    bags: Tensor

    def __len__(self) -> int:
        return len(self.human)

    def take(self, rows: slice | Tensor) -> PairIndex:
        """Some of the pairs, a slice or ascending int64 rows, of the same images."""
        image, count = self.image[rows], len(self.offsets) - 1
        offsets = torch.searchsorted(image, torch.arange(count + 1, device=image.device))
        return PairIndex(self.human[rows], self.object[rows], image, offsets, torch.nonzero(offsets.diff()).squeeze(1))


@dataclass(frozen=True)
class PairRule:
    """Who is paired with whom.

    Attributes:
        human_object_id: category whose proposals are humans.
        pairable: bool [C], categories that occur in an HOI class, on the host.
    """

    human_object_id: int
    pairable: Tensor

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> PairRule:
        """The rule of a vocabulary."""
        pairable = torch.zeros(vocabulary.num_objects, dtype=torch.bool)
        pairable[torch.from_numpy(vocabulary.hoi_object_ids)] = True
        return cls(vocabulary.human_object_id, pairable)

    def pair(self, batch: BagBatch) -> PairIndex:
        """Pairs of a batch on the host."""
        return pair_proposals(
            batch.object_ids, batch.proposal_offsets, human_object_id=self.human_object_id, pairable=self.pairable
        )

    def counts(self, object_ids: IntArray, offsets: IntArray) -> IntArray:
        """Number of pairs of each image, int64 [I], of proposals [N] that `offsets` [I + 1] cut by image."""
        sums = [
            np.concatenate([np.zeros(1, np.int64), np.cumsum(chosen)])[offsets]
            for chosen in (object_ids == self.human_object_id, self.pairable.numpy()[object_ids])
        ]
        humans, partners = (np.diff(values) for values in sums)
        # No human is its own partner.
        return humans * (partners - int(self.pairable[self.human_object_id])).clip(min=0)


def pair_proposals(
    object_ids: Tensor, proposal_offsets: Tensor, *, human_object_id: int, pairable: Tensor
) -> PairIndex:
    """Pair every human with every pairable proposal of its image, itself excepted.

    Args:
        object_ids: int64 [N].
        proposal_offsets: int64 [I + 1].
        human_object_id: category whose proposals are humans.
        pairable: bool [C], categories that occur in an HOI class.
    """
    device = object_ids.device
    num_images = len(proposal_offsets) - 1
    image = torch.repeat_interleave(torch.arange(num_images, device=device), proposal_offsets.diff())
    humans = torch.nonzero(object_ids == human_object_id).squeeze(1)
    objects = torch.nonzero(pairable[object_ids]).squeeze(1)
    objects_per_image = torch.bincount(image[objects], minlength=num_images)
    first_object = objects_per_image.cumsum(0) - objects_per_image
    repeats = objects_per_image[image[humans]]
    human = torch.repeat_interleave(humans, repeats)
    # Position of a pair within its human's run, shifted to that image's first object.
    within = torch.arange(len(human), device=device) - torch.repeat_interleave(repeats.cumsum(0) - repeats, repeats)
    partner = objects[first_object[image[human]] + within]
    other = human != partner
    human, partner = human[other], partner[other]
    counts = torch.bincount(image[human], minlength=num_images)
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    bags = torch.nonzero(counts).squeeze(1)
    return PairIndex(human=human, object=partner, image=image[human], offsets=offsets, bags=bags)
