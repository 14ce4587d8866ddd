"""Annotated boxes in the form of proposals: what a perfect detector would find, with score 1.

Of evaluation splits alone, and by a command of its own: neither training nor detection can read them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.core.boxes import has_extent
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of
from pipeline.truth.ground_truth import GroundTruth, annotated_boxes


def annotated_proposals(truth: GroundTruth, image_ids: Sequence[str], vocabulary: Vocabulary) -> SplitProposals:
    """Boxes of all annotated pairs of a split, each once, but those without width or height."""
    found = annotated_boxes(truth, vocabulary)
    proposals = SplitProposals(
        image_ids=image_ids,
        objects=vocabulary.objects,
        detector="annotated boxes",
        offsets=offsets_of(np.bincount(found.image_index, minlength=len(image_ids))),
        boxes=found.boxes,
        scores=np.ones(len(found), np.float32),
        object_ids=found.object_ids,
    )
    return proposals.kept(has_extent(proposals.boxes))
