"""Image-level labels as losses use them: which verbs and objects an image shows, and multiple-instance learning."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_max


class ImageLabelMasks(nn.Module):
    """From labels of HOI classes [I, H] to those of their verbs and objects."""

    hoi_to_verb: Tensor
    hoi_to_object: Tensor

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        verbs = functional.one_hot(torch.from_numpy(vocabulary.hoi_verb_ids), vocabulary.num_verbs)
        objects = functional.one_hot(torch.from_numpy(vocabulary.hoi_object_ids), vocabulary.num_objects)
        self.register_buffer("hoi_to_verb", verbs.float())  # [H, A]
        self.register_buffer("hoi_to_object", objects.float())  # [H, C]

    def verbs(self, labels: Tensor) -> Tensor:
        """Bool [I, A]: verbs of some labeled class."""
        return labels @ self.hoi_to_verb > 0

    def objects(self, labels: Tensor) -> Tensor:
        """Bool [I, C]: object categories of some labeled class."""
        return labels @ self.hoi_to_object > 0


def mil_loss(logits: Tensor, pairs: PairIndex, verbs: Tensor) -> Tensor:
    """L_p: binary cross-entropy of the image's maximum over pairs [I, A] against labeled verbs [I, A], summed.

    An image without any pair adds nothing.

    Args:
        logits: verb logits of the pairs [M, A].
    """
    best = segment_max(logits, pairs.image, len(verbs))
    return summed_bce(best[pairs.bags], verbs[pairs.bags])


def summed_bce(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of logits and targets (numbers or bool) of one shape, each times its weight, summed.

    Args:
        weights: numbers or bool, of a shape that broadcasts to the logits'; none: all 1.
    """
    if weights is not None:
        weights = weights.to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), weights, reduction="sum")
