"""From CLIP's scores to labels: a threshold for each class that needs no annotation.

Scores of different sentences are not comparable, those of one sentence are: a class's threshold is a part of its top
score, which is a quantile over the images with its category, not their maximum, which one image alone could set.
I images, H HOI classes, K (image, class) rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.types import FloatArray, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.labeling.params import LabelParams
from pipeline.prompts.templates import verb_key
from pipeline.store.image_labels_file import SplitLabels
from pipeline.store.ragged import offsets_of


def label_by_scores(
    counts: IntArray,
    hoi_ids: IntArray,
    scores: FloatArray,
    image_ids: Sequence[str],
    vocabulary: Vocabulary,
    params: LabelParams,
) -> SplitLabels:
    """Label the rows whose score is at least the threshold of their class; the confidence is the score.

    "No interaction" is never labeled: CLIP does not understand "not".

    Args:
        counts: int64 [I], rows of each image.
        hoi_ids: int64 [K].
        scores: float32 [K], 0..1.

    Raises:
        DataError: there is nothing to label.
    """
    nameless = np.array([verb_key(verb) == "no interaction" for verb in vocabulary.verbs])[vocabulary.hoi_verb_ids]
    chosen = (scores >= class_thresholds(hoi_ids, scores, vocabulary.num_hois, params)[hoi_ids]) & ~nameless[hoi_ids]
    if not chosen.any():
        raise DataError(
            f"CLIP labels none of {len(counts)} images: in none of them was a person found beside an object of an HOI "
            "class; lower detect.score_threshold, or check that the detector knows the categories"
        )
    image = np.repeat(np.arange(len(counts)), counts)[chosen]
    offsets = offsets_of(np.bincount(image, minlength=len(counts)))
    return SplitLabels("clip", image_ids, offsets, hoi_ids[chosen], scores[chosen])


def class_thresholds(hoi_ids: IntArray, scores: FloatArray, num_hois: int, params: LabelParams) -> FloatArray:
    """Thresholds of the classes, float32 [H]; infinity for a class without scores."""
    thresholds = np.full(num_hois, np.inf, np.float32)
    order = np.argsort(hoi_ids, kind="stable")
    cuts = offsets_of(np.bincount(hoi_ids, minlength=num_hois))
    for hoi_id in np.unique(hoi_ids):
        own = scores[order[cuts[hoi_id] : cuts[hoi_id + 1]]]
        thresholds[hoi_id] = params.threshold * np.quantile(own, params.top)
    return thresholds
