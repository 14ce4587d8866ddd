"""Bags of the pairs of one image and one object category: a label "ride bicycle" is about pairs with a bicycle alone.

I images, M pairs, A verbs, C object categories, H HOI classes, S = I x C bags.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.core.boxes import box_iou
from pipeline.methods.image_labels import summed_bce
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_max, segment_rank, segment_sizes


@dataclass(frozen=True)
class CategoryBags:
    """The bags of a batch.

    Attributes:
        of_pair: int64 [M], bag of each pair.
        labels: bool [S, A], verbs that form a labeled HOI class with the bag's category.
        classes: bool [S, A], verbs that form any seen HOI class with it; the others teach nothing.
    """

    of_pair: Tensor
    labels: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def sizes(self) -> Tensor:
        """Pairs of each bag, int64 [S]."""
        return segment_sizes(self.of_pair, len(self))


def category_bags(labels: Tensor, pairs: PairIndex, pair_object_ids: Tensor, hoi_of: Tensor) -> CategoryBags:
    """Sort the pairs of a batch into bags.

    Args:
        labels: float32 [I, H].
        pair_object_ids: int64 [M].
        hoi_of: `LabeledClasses.hoi_of` [C, A].
    """
    num_images, (num_objects, num_verbs) = len(labels), hoi_of.shape
    known = (hoi_of >= 0).expand(num_images, -1, -1)
    labeled = (labels[:, hoi_of.clamp(min=0)] > 0) & known  # [I, C, A]
    return CategoryBags(
        of_pair=pairs.image * num_objects + pair_object_ids,
        labels=labeled.reshape(-1, num_verbs),
        classes=known.reshape(-1, num_verbs),
    )


def bag_loss(logits: Tensor, bags: CategoryBags) -> Tensor:
    """L_p over bags: binary cross-entropy of each bag's maximum [S, A] against its labels, summed; logits [M, A].

    A bag without any pair adds nothing.
    """
    best = segment_max(logits, bags.of_pair, len(bags))
    counted = bags.classes & (bags.sizes > 0)[:, None]
    return summed_bce(best.masked_fill(~counted, 0), bags.labels, counted)


@torch.no_grad()
def related_pairs(logits: Tensor, bags: CategoryBags, top_k: int) -> Tensor:
    """b, float32 [M]: 1 for the K best pairs of each labeled class in its bag; logits [M, A]."""
    chosen = segment_rank(logits, bags.of_pair, len(bags)) < top_k
    return (chosen & bags.labels[bags.of_pair]).any(1).to(logits.dtype)


@torch.no_grad()
def refinement_targets(
    teacher: Tensor, bags: CategoryBags, human_boxes: Tensor, object_boxes: Tensor, min_iou: float
) -> Tensor:
    """Bool [M, A]: the best pair of each labeled class in its bag, and the bag's pairs that overlap it (OICR).

    Online instance classifier refinement (Tang et al., CVPR 2017), with pairs in place of proposals.

    Args:
        teacher: logits [M, A] that say which pair is best; the first one among equals.
        human_boxes, object_boxes: [M, 4] of the pairs.
        min_iou: of both boxes with those of the best pair.
    """
    rows = torch.arange(len(teacher), device=teacher.device)[:, None]
    is_best = teacher == segment_max(teacher, bags.of_pair, len(bags))[bags.of_pair]
    candidates = torch.where(is_best, rows, len(teacher))
    none = torch.full(bags.labels.shape, len(teacher), device=teacher.device)
    best = none.scatter_reduce(0, bags.of_pair[:, None].expand_as(candidates), candidates, "amin")[bags.of_pair]
    best = best.clamp(max=len(teacher) - 1)  # where logits are not numbers, none is best; the loss will tell
    overlaps = [box_iou(boxes[:, None], boxes[best]) >= min_iou for boxes in (human_boxes, object_boxes)]
    return ((overlaps[0] & overlaps[1]) | (rows == best)) & bags.labels[bags.of_pair]


def refinement_loss(logits: Tensor, targets: Tensor, bags: CategoryBags) -> Tensor:
    """Binary cross-entropy of pairs and the HOI classes of their category, logits and targets [M, A].

    The mean over a bag's pairs, summed over bags and verbs: a bag counts as much as in `bag_loss`.
    """
    share = 1 / bags.sizes[bags.of_pair]
    return summed_bce(logits, targets, bags.classes[bags.of_pair] * share[:, None])
