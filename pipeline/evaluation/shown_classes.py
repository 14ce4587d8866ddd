"""Which HOI class a proposed pair shows: for pictures and measurements of pairs, never for training.

A pair shows an annotated one by the official rule: the right object category, and both boxes with IoU >= 0.5.
"""

from __future__ import annotations

import numpy as np

from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.fusion import pair_classes
from pipeline.evaluation.matching import TruthIndex, best_pairs, cell_index, first_claims
from pipeline.truth.ground_truth import GroundTruth


def shown_classes(
    image_index: IntArray,
    human_boxes: FloatArray,
    object_boxes: FloatArray,
    object_ids: IntArray,
    truth: GroundTruth,
    vocabulary: Vocabulary,
) -> IntArray:
    """HOI class of each pair, int64 [M]; -1 where it shows no annotated pair.

    An annotated pair is claimed by the first row that shows it, so that one person found twice counts once. A pair of
    several classes takes the rarest of them in `truth`, the more telling one: "ride" for who rides and sits.

    Args:
        image_index: int64 [M].
        human_boxes, object_boxes: float32 [M, 4]; earlier rows of an image are preferred.
        object_ids: detected category of the object, int64 [M].
    """
    pair, hoi_id = pair_classes(object_ids, vocabulary.hoi_object_ids, vocabulary.num_objects)
    triplets = Detections(
        image_index=image_index[pair].astype(np.int32),
        hoi_id=hoi_id.astype(np.int16),
        human_boxes=human_boxes[pair],
        object_boxes=object_boxes[pair],
        scores=np.zeros(len(pair), np.float32),
    )
    num_hois = vocabulary.num_hois
    cells = cell_index(triplets.image_index, triplets.hoi_id, num_hois)
    claims = first_claims(best_pairs(triplets, truth, TruthIndex.build(truth, num_hois), cells), len(truth))
    pair, hoi_id = pair[claims], hoi_id[claims]
    counts = np.bincount(truth.hoi_id, minlength=num_hois)
    order = np.lexsort((hoi_id, counts[hoi_id], pair))
    pair, hoi_id = pair[order], hoi_id[order]
    shown, first = np.unique(pair, return_index=True)
    labels = np.full(len(object_ids), -1, np.int64)
    labels[shown] = hoi_id[first]
    return labels
