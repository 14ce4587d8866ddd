"""Losses of `alignformer_like`: targets by hard choice among candidates, then the set loss on each decoder layer.

I images, M pairs, T targets, Q queries, L layers, A verbs, C object categories.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.core.bags import BagBatch
from pipeline.core.boxes import box_giou
from pipeline.methods.alignformer_like.matching import matched, matching_costs, to_centers, to_corners
from pipeline.methods.alignformer_like.params import AlignFormerParams
from pipeline.methods.alignformer_like.priors import (
    chosen_pairs,
    geometric_log_prior,
    pair_geometry,
    shares_of_candidates,
    updated_statistics,
)
from pipeline.methods.base import BatchCounts, Losses, Outputs
from pipeline.methods.focal import focal_loss
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairIndex

LOSS_NAMES = ("box", "giou", "category", "verb")
_FOCAL_ALPHA, _FOCAL_GAMMA = 0.25, 2.0  # those of Lin et al. 2017


@dataclass(frozen=True)
class PairTargets:
    """Pairs that queries shall predict.

    Attributes:
        image: int64 [T], non-decreasing.
        boxes: float32 [T, 2, 4], human and object, centers and extents in 0..1 of the image.
        categories: int64 [T], of the objects.
        verbs: float32 [T, A], 1 for each verb that the pair was chosen for.
    """

    image: Tensor
    boxes: Tensor
    categories: Tensor
    verbs: Tensor


class AlignFormerLosses(Losses):
    """The set loss against the pairs that both priors choose."""

    def __init__(self, classes: LabeledClasses, params: AlignFormerParams) -> None:
        super().__init__()
        self.params, self.classes = params, classes

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the terms, summed over targets and decoder layers and divided by the numbers of images and copies."""
        targets = self.targets(outputs, batch, pairs)
        terms = torch.stack(
            [
                set_losses(boxes, categories, verbs, targets, self.classes.seen_verbs, self.params.copies)
                for boxes, categories, verbs in zip(
                    outputs["query_boxes"], outputs["query_categories"], outputs["query_verbs"], strict=True
                )
            ]
        ).sum(0)
        return dict(zip(LOSS_NAMES, terms / (whole.images * self.params.copies), strict=True))

    @torch.no_grad()
    def targets(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex) -> PairTargets:
        """Choose the pair of each labeled class, and let the geometric statistics learn from the candidates.

        In training `prior_statistics` is the network's buffer, which changes in place: it is saved with the weights.
        """
        human, partner = batch.boxes[pairs.human], batch.boxes[pairs.object]
        categories, statistics = batch.object_ids[pairs.object], outputs["prior_statistics"]
        hoi_ids = self.classes.hoi_of[categories]  # [M, A], -1 where verb and category form no seen class
        candidate = (batch.labels[pairs.image[:, None], hoi_ids.clamp(min=0)] > 0) & (hoi_ids >= 0)
        geometry = pair_geometry(human, partner)
        log_prior = geometric_log_prior(geometry, statistics) + outputs["visual_log_prior"]
        num_objects = len(self.classes.hoi_of)
        classes = candidate, pairs.image * num_objects + categories, len(batch) * num_objects
        shares = shares_of_candidates(log_prior, *classes)
        statistics.copy_(updated_statistics(statistics, geometry, shares, self.params.prior_decay))
        chosen = chosen_pairs(log_prior, *classes)
        rows = torch.nonzero(chosen.any(1)).squeeze(1)
        image = pairs.image[rows]
        boxes = torch.stack([human[rows], partner[rows]], 1) / batch.image_sizes[image].repeat(1, 2)[:, None]
        return PairTargets(image, to_centers(boxes), categories[rows], chosen[rows].float())


def set_losses(
    boxes: Tensor, categories: Tensor, verbs: Tensor, targets: PairTargets, seen_verbs: Tensor, copies: int = 1
) -> Tensor:
    """Return the sums over the batch of one layer's four terms in the order of `LOSS_NAMES`, [4].

    Args:
        boxes: [I, Q, 2, 4]; categories: logits [I, Q, C]; verbs: logits [I, Q, A].
        seen_verbs: bool [A]; the others have no loss.
    """
    image, query, target = _match(boxes, categories, verbs, targets, copies)
    found, wanted = boxes[image, query], targets.boxes[target]
    box = (found - wanted).abs().sum()
    giou = (1 - box_giou(to_corners(found), to_corners(wanted))).sum()
    category = functional.cross_entropy(categories[image, query], targets.categories[target], reduction="sum")
    verb_targets = torch.zeros_like(verbs)
    verb_targets[image, query] = targets.verbs[target]
    verb = (focal_loss(verbs, verb_targets, alpha=_FOCAL_ALPHA, gamma=_FOCAL_GAMMA) * seen_verbs).sum()
    return torch.stack([box, giou, category, verb])


def _match(boxes: Tensor, categories: Tensor, verbs: Tensor, targets: PairTargets, copies: int) -> list[Tensor]:
    """Image, query and target of each match, int64 each; images are matched one by one, on the host."""
    found, start = [], 0
    for image, count in enumerate(torch.bincount(targets.image, minlength=len(boxes)).tolist()):
        rows = slice(start, start + count)
        wanted = targets.boxes[rows], targets.categories[rows], targets.verbs[rows]
        query, target = matched(matching_costs(boxes[image], categories[image], verbs[image], *wanted), copies)
        found.append(torch.stack([torch.full_like(query, image), query, target + start]))
        start += count
    return list(torch.cat(found, 1).to(boxes.device))
