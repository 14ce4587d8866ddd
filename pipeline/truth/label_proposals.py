"""Which proposed pairs show annotated ones: the labels of training with boxes.

I images, N proposals, G annotated pairs, L labels, H HOI classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.boxes import box_iou
from pipeline.core.types import Proposals, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.proposals_file import SplitProposals
from pipeline.truth.ground_truth import GroundTruth

OVERLAP_THRESHOLD = 0.5


def label_image(proposals: Proposals, truth: GroundTruth, vocabulary: Vocabulary) -> tuple[IntArray, IntArray]:
    """Labels of one image.

    A pair of proposals shows an annotated pair by the official rule: the human box and the box of the right object
    category both have IoU >= 0.5. All that show it are labeled, not the best alone: the others are no negatives.

    Args:
        truth: of this image.

    Returns:
        rows (human proposal, object proposal, HOI id), int64 [L, 3], ascending, each once; and the annotated pairs
        that some pair of proposals shows, int64.
    """
    object_ids = vocabulary.hoi_object_ids[truth.hoi_id]
    human = box_iou(truth.human_boxes[:, None].astype(np.float64), proposals.boxes[None]) >= OVERLAP_THRESHOLD
    partner = box_iou(truth.object_boxes[:, None].astype(np.float64), proposals.boxes[None]) >= OVERLAP_THRESHOLD
    human &= proposals.object_ids == vocabulary.human_object_id  # [G, N]
    partner &= proposals.object_ids == object_ids[:, None]
    pair, human_row, object_row = np.nonzero(human[:, :, None] & partner[:, None, :])
    other = human_row != object_row  # nobody is their own partner
    rows = np.stack([human_row, object_row, truth.hoi_id[pair].astype(np.int64)], 1)[other]
    return np.unique(rows, axis=0), np.unique(pair[other])
