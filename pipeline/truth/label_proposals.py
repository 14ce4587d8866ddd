"""Which proposed pairs of the training split show annotated ones: what training with boxes learns from.

I images, N proposals, G annotated pairs, L labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import box_iou
from pipeline.core.types import IntArray, Proposals
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.pair_labels_file import SplitPairLabels
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of
from pipeline.truth.ground_truth import GroundTruth

OVERLAP_THRESHOLD = 0.5


@dataclass(frozen=True)
class LabeledProposals:
    """Labels of a split's proposals, and how many of its annotated pairs some pair of proposals shows."""

    labels: SplitPairLabels
    shown: int


def label_proposals(
    proposals: SplitProposals, truth: GroundTruth, vocabulary: Vocabulary, advance: Callable[[], None]
) -> LabeledProposals:
    """Label the proposals of a split.

    Args:
        truth: annotated pairs of the same images.
        advance: called after each image.
    """
    order = np.argsort(truth.image_index, kind="stable")
    cuts = offsets_of(np.bincount(truth.image_index, minlength=len(proposals)))
    found, shown = [], 0
    for index in range(len(proposals)):
        rows = order[cuts[index] : cuts[index + 1]]
        human_boxes, object_boxes = truth.human_boxes[rows], truth.object_boxes[rows]
        pair, labels = _label_image(proposals.image(index), human_boxes, object_boxes, truth.hoi_id[rows], vocabulary)
        found.append(labels)
        shown += len(pair)
        advance()
    offsets = offsets_of(np.array([len(labels) for labels in found], np.int64))
    rows = np.concatenate([np.zeros((0, 3), np.int64), *found])
    return LabeledProposals(SplitPairLabels(proposals.image_ids, offsets, rows), shown)


def overlaps(
    proposals: Proposals, human_boxes: np.ndarray, object_boxes: np.ndarray, hoi_ids: np.ndarray, vocabulary: Vocabulary
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which proposals show the human and which the object of each annotated pair of an image, bool [G, N] each.

    By the official rule: the right object category, and IoU >= 0.5.
    """
    boxes, found = proposals.boxes[None].astype(np.float64), proposals.object_ids
    human = (box_iou(human_boxes[:, None], boxes) >= OVERLAP_THRESHOLD) & (found == vocabulary.human_object_id)
    partner = box_iou(object_boxes[:, None], boxes) >= OVERLAP_THRESHOLD
    return human, partner & (found == vocabulary.hoi_object_ids[hoi_ids][:, None])


def _label_image(
    proposals: Proposals, human_boxes: np.ndarray, object_boxes: np.ndarray, hoi_ids: np.ndarray, vocabulary: Vocabulary
) -> tuple[IntArray, IntArray]:
    """Annotated pairs that are shown, and labels [L, 3], ascending, each once.

    All pairs of proposals that show an annotated one are labeled, not the best alone: the others are no negatives.
    """
    human, partner = overlaps(proposals, human_boxes, object_boxes, hoi_ids, vocabulary)
    pair, human_row, object_row = np.nonzero(human[:, :, None] & partner[:, None, :])
    other = human_row != object_row  # nobody is their own partner
    labels = np.stack([human_row, object_row, hoi_ids[pair].astype(np.int64)], 1)[other]
    return np.unique(pair[other]), np.unique(labels, axis=0)
