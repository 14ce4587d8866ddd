"""Quality of proposals by themselves: how many annotated boxes and pairs are among them.

By the official rule: the right category and IoU >= 0.5; of a pair, two proposals, one for each box. No method can find
a pair that is not among them.

Axis legend: B annotated boxes, G annotated pairs, C object categories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.summary import percent
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of
from pipeline.truth.ground_truth import GroundTruth, annotated_boxes
from pipeline.truth.label_proposals import overlaps


@dataclass(frozen=True)
class Recall:
    """Annotated boxes (each once, however many pairs it is in) or pairs, and those recalled; int64 [C] each.

    A pair is counted under its object's category.
    """

    annotated: IntArray
    recalled: IntArray

    def figures(self, rows: IntArray | slice = slice(None)) -> dict[str, Any]:
        """Counts of some categories, all by default, and the recall in percent, None where nothing is annotated."""
        annotated, recalled = int(self.annotated[rows].sum()), int(self.recalled[rows].sum())
        recall = percent(recalled / annotated) if annotated else None
        return {"annotated": annotated, "recalled": recalled, "recall": recall}


def proposal_recall(
    proposals: SplitProposals, truth: GroundTruth, vocabulary: Vocabulary, limit: int | None = None
) -> tuple[Recall, Recall]:
    """Recall of annotated boxes and of annotated pairs.

    Args:
        truth: of the same images.
        limit: at most so many proposals of an image, the best; None: all.
    """
    order = np.argsort(truth.image_index, kind="stable")
    cuts = offsets_of(np.bincount(truth.image_index, minlength=len(proposals)))
    human_found, object_found, pair_found = (np.zeros(len(truth), np.bool_) for _ in range(3))
    for index in range(len(proposals)):
        rows = order[cuts[index] : cuts[index + 1]]
        humans, objects = truth.human_boxes[rows], truth.object_boxes[rows]
        human, thing = overlaps(proposals.image(index, limit), humans, objects, truth.hoi_id[rows], vocabulary)
        human_found[rows], object_found[rows] = human.any(1), thing.any(1)
        same = (human & thing).sum(1)  # one proposal cannot be both
        pair_found[rows] = human.sum(1) * thing.sum(1) > same
    boxes, num_objects = annotated_boxes(truth, vocabulary), vocabulary.num_objects
    box_found = np.zeros(len(boxes), np.bool_)
    box_found[boxes.human_row], box_found[boxes.object_row] = human_found, object_found
    return (
        _recall(boxes.object_ids, box_found, num_objects),
        _recall(vocabulary.hoi_object_ids[truth.hoi_id], pair_found, num_objects),
    )


def recall_table(boxes: Recall, pairs: Recall, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return both for a file: over all categories, and by name of the categories that are annotated."""
    named = [row for row in range(vocabulary.num_objects) if boxes.annotated[row]]
    return {
        "boxes": boxes.figures(),
        "pairs": pairs.figures(),
        "categories": {
            vocabulary.objects[row]: {
                "boxes": boxes.figures(np.array([row])),
                "pairs": pairs.figures(np.array([row])),
            }
            for row in named
        },
    }


def _recall(categories: IntArray, found: NDArray[np.bool_], num_objects: int) -> Recall:
    counts = (np.bincount(rows, minlength=num_objects) for rows in (categories, categories[found]))
    return Recall(*counts)
