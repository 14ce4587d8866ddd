"""The multi-task loss of eq. (4): image-level HOI recognition, MIL over pairs, self-taught relatedness.

Two rows that the method is compared with need more: PPR-FCN sums its pairs instead of taking their maximum, and Abl 4
draws the mean pair towards CLIP's image vector.

Each term is summed over its classes or pairs and averaged over the images of the batch. Where ranks share a batch,
each sums over its own images and divides by the counts of the whole, so that the ranks' terms add up to the batch's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.core.bags import BagBatch
from pipeline.core.params import ModelParams, TrainParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.network import HoiOutput
from pipeline.hoi.pseudo_labels import pseudo_relatedness
from pipeline.hoi.segments import segment_max, segment_sum


@dataclass(frozen=True)
class LossTerms:
    """Scalars L_g, L_p, L_b, L_reg (App. B) and their weighted sum."""

    global_loss: Tensor
    pair_loss: Tensor
    relatedness_loss: Tensor
    regularization_loss: Tensor
    total: Tensor


@dataclass(frozen=True)
class BatchCounts:
    """What sums are divided by: counts of the whole batch, of which a rank may hold a part.

    Attributes:
        images: I.
        bags: images that have a pair, a number or an int64 scalar.
    """

    images: int
    bags: int | Tensor


class WeakHoiLoss(nn.Module):
    """Computes eq. (4) from the network's raw outputs and image-level labels."""

    hoi_to_verb: Tensor
    hoi_to_object: Tensor

    def __init__(self, *, vocabulary: Vocabulary, model: ModelParams, train: TrainParams) -> None:
        super().__init__()
        self.model, self.train_params = model, train
        verbs = functional.one_hot(torch.from_numpy(vocabulary.hoi_verb_ids), vocabulary.num_verbs)
        objects = functional.one_hot(torch.from_numpy(vocabulary.hoi_object_ids), vocabulary.num_objects)
        self.register_buffer("hoi_to_verb", verbs.float())  # [H, A]
        self.register_buffer("hoi_to_object", objects.float())  # [H, C]

    def forward(self, output: HoiOutput, batch: BagBatch, whole: BatchCounts | None = None) -> LossTerms:
        """Return the terms; those of parts that are switched off are zero.

        Args:
            whole: counts of the batch that `batch` is a part of; None: it is all of it.
        """
        counts = whole or BatchCounts(images=len(batch), bags=len(output.pairs.bags))
        verbs = batch.labels @ self.hoi_to_verb > 0  # [I, A]
        objects = batch.labels @ self.hoi_to_object > 0  # [I, C]
        zero = output.image_logits.new_zeros(())
        weights = self.train_params
        global_loss = zero
        if self.model.hoi_recognition:
            global_loss = recognition_loss(output.image_logits, batch.labels) / counts.images
        bag_loss = summed_mil_loss if self.model.interaction == "ppr_fcn" else mil_loss
        pair_loss = bag_loss(output, verbs) / counts.images
        relatedness_loss = zero
        if self.model.relatedness:
            relatedness_loss = self._relatedness(output, batch, verbs, objects) / counts.images
        regularization_loss = zero
        if output.clip_embedding is not None:
            regularization_loss = clip_regularization_loss(output) / _at_least_one(counts.bags)
        total = (
            weights.global_weight * global_loss
            + weights.pair_weight * pair_loss
            + weights.relatedness_weight * relatedness_loss
            + weights.regularization_weight * regularization_loss
        )
        return LossTerms(global_loss, pair_loss, relatedness_loss, regularization_loss, total)

    def _relatedness(self, output: HoiOutput, batch: BagBatch, verbs: Tensor, objects: Tensor) -> Tensor:
        """L_b: every pair against its pseudo label, summed."""
        pairs = output.pairs
        labels = pseudo_relatedness(
            output.interaction_logits,
            pairs,
            batch.object_ids[pairs.object],
            image_verbs=verbs,
            image_objects=objects,
            top_k=self.train_params.top_k,
        )
        return functional.binary_cross_entropy_with_logits(output.relatedness_logits, labels, reduction="sum")


def recognition_loss(image_logits: Tensor, labels: Tensor) -> Tensor:
    """L_g: binary cross-entropy of s_g [I, H] against image-level labels [I, H], summed."""
    return functional.binary_cross_entropy_with_logits(image_logits, labels, reduction="sum")


def mil_loss(output: HoiOutput, verbs: Tensor) -> Tensor:
    """L_p: binary cross-entropy of the bag's maximum over pairs [I, A] against labelled verbs [I, A], summed.

    An image without any pair has no bag and adds nothing.
    """
    logits = segment_max(output.interaction_logits, output.pairs.image, len(verbs))
    bags = output.pairs.bags
    return functional.binary_cross_entropy_with_logits(logits[bags], verbs[bags].to(logits.dtype), reduction="sum")


def summed_mil_loss(output: HoiOutput, verbs: Tensor) -> Tensor:
    """PPR-FCN's L_p, summed: the image's score is the sum of its pairs' probabilities, which is at most 1."""
    image_scores = segment_sum(torch.sigmoid(output.interaction_logits), output.pairs.image, len(verbs))
    bags = output.pairs.bags
    scores = image_scores[bags].clamp(1e-6, 1 - 1e-6)
    return functional.binary_cross_entropy(scores, verbs[bags].to(scores.dtype), reduction="sum")


def clip_regularization_loss(output: HoiOutput) -> Tensor:
    """L_reg of App. B: squared distance of the mean v_p to CLIP's v_g, both at unit length, summed over images."""
    assert output.clip_embedding is not None
    counts, bags = output.pairs.offsets.diff(), output.pairs.bags
    mean = segment_sum(output.holistic, output.pairs.image, len(counts))[bags] / counts[bags, None]
    target = functional.normalize(output.clip_embedding[bags], dim=1)
    distances = (functional.normalize(mean, dim=1) - target).square().sum(1)
    return distances.sum()


def _at_least_one(count: int | Tensor) -> int | Tensor:
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)
