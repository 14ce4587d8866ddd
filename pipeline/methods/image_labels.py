"""Image-level labels as losses use them: what they say of verbs and objects, and multiple-instance learning."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_max


class LabeledClasses(nn.Module):
    """The HOI classes of a vocabulary, and which of them have labels in training; unseen ones belong in no loss.

    Args:
        seen: bool [H]; None: all.

    Attributes:
        seen: bool [H].
        seen_verbs: bool [A], verbs of some seen class.
        hoi_of: int64 [C, A], seen class of object category and verb, -1 where there is none.
        hoi_to_verb: float32 [H, A], one-hot rows.
        hoi_to_object: float32 [H, C], one-hot rows.
    """

    seen: Tensor
    seen_verbs: Tensor
    hoi_of: Tensor
    hoi_to_verb: Tensor
    hoi_to_object: Tensor

    def __init__(self, vocabulary: Vocabulary, seen: NDArray[np.bool_] | None = None) -> None:
        super().__init__()
        seen = np.ones(vocabulary.num_hois, np.bool_) if seen is None else seen
        table = vocabulary.hoi_id_table.T
        known = (table >= 0) & seen[table]
        verbs = functional.one_hot(torch.from_numpy(vocabulary.hoi_verb_ids), vocabulary.num_verbs)
        objects = functional.one_hot(torch.from_numpy(vocabulary.hoi_object_ids), vocabulary.num_objects)
        self.register_buffer("seen", torch.from_numpy(seen.copy()))
        self.register_buffer("seen_verbs", verbs[self.seen].any(0))
        self.register_buffer("hoi_of", torch.from_numpy(np.where(known, table, -1)))
        self.register_buffer("hoi_to_verb", verbs.float())
        self.register_buffer("hoi_to_object", objects.float())

    def verbs(self, labels: Tensor) -> Tensor:
        """Bool [I, A]: verbs of some labeled class; labels [I, H]."""
        return labels @ self.hoi_to_verb > 0

    def objects(self, labels: Tensor) -> Tensor:
        """Bool [I, C]: object categories of some labeled class; labels [I, H]."""
        return labels @ self.hoi_to_object > 0


def mil_loss(logits: Tensor, pairs: PairIndex, labels: Tensor, classes: LabeledClasses) -> Tensor:
    """L_p: binary cross-entropy of the image's maximum over pairs [I, A] against its labeled verbs, summed.

    An image without any pair adds nothing.

    Args:
        logits: verb logits of the pairs [M, A].
        labels: [I, H].
    """
    best, bags = segment_max(logits, pairs.image, len(labels)), pairs.bags
    return summed_bce(best[bags], classes.verbs(labels)[bags], classes.seen_verbs)


def summed_bce(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of logits and targets (numbers or bool) of one shape, each times its weight, summed.

    Args:
        weights: numbers or bool, of a shape that broadcasts to the logits'; none: all 1.
    """
    if weights is not None:
        weights = weights.to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), weights, reduction="sum")
