from __future__ import annotations

import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary
from pipeline.labeling.params import LabelParams
from pipeline.labeling.thresholds import class_thresholds, label_by_scores

WORLD = Vocabulary(("person", "cup"), ("hold", "fill", "no_interaction"), ((0, 1), (1, 1), (2, 1)))
HALF_OF_BEST = LabelParams(threshold=0.5, top=1.0)


def labeled(rows: list[list[float]], params: LabelParams = HALF_OF_BEST):
    """Scores of each image for the three classes; an empty row has none."""
    counts = np.array([len(row) for row in rows])
    hoi_ids = np.concatenate([np.arange(len(row)) for row in rows]).astype(np.int64)
    scores = np.concatenate(rows).astype(np.float32)
    names = tuple(f"image-{row}" for row in range(len(rows)))
    return label_by_scores(counts, hoi_ids, scores, names, WORLD, params)


def test_each_class_has_a_threshold_of_its_own():
    labels = labeled([[0.8, 0.01, 0.9], [], [0.3, 0.02, 0.9], [0.4, 0.009, 0.9]])
    assert labels.source == "clip"
    assert labels.rows(3).mask().tolist() == [
        [True, True, False],  # 0.8 of 0.8; 0.01 is half of 0.02; "no interaction" is never labeled
        [False] * 3,
        [False, True, False],
        [True, False, False],
    ]
    assert labels.confidence.tolist() == pytest.approx([0.8, 0.01, 0.02, 0.4])


def test_the_top_score_is_a_quantile_that_one_image_does_not_set(seed):
    scores = np.random.default_rng(seed).uniform(0.1, 0.2, 500).astype(np.float32)
    hoi_ids = np.zeros(500, np.int64)
    before = class_thresholds(hoi_ids, scores, 2, LabelParams())
    scores[7] = 1.0
    after = class_thresholds(hoi_ids, scores, 2, LabelParams())
    assert before[0] == pytest.approx(0.6 * np.quantile(np.delete(scores, 7), 0.98), rel=0.02)
    assert after[0] == pytest.approx(before[0], rel=0.02)
    assert np.isinf(after[1])


def test_scale_of_a_classs_scores_changes_no_label(seed):
    rows = np.random.default_rng(seed).uniform(0.1, 1, (40, 3))
    scaled = rows * [0.01, 0.5, 1]
    assert (labeled(rows.tolist()).rows(3).mask() == labeled(scaled.tolist()).rows(3).mask()).all()


def test_nothing_to_label_is_said():
    with pytest.raises(DataError, match="CLIP labels none of 2 images: in none of them was a person found beside"):
        labeled([[], []])
