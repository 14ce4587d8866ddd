from __future__ import annotations

import numpy as np

from pipeline.core.label_rows import LabelRows
from pipeline.labeling.quality import agreement


def test_figures_by_hand():
    annotated = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], np.bool_)
    found = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]], np.bool_)
    # Right 2 of 3 made and of 4 annotated; F1 of class 0 is 2/3, of class 1 2/3; class 2 and 3 are not annotated.
    assert agreement(LabelRows.of_mask(found), LabelRows.of_mask(annotated)) == {
        "images": 3,
        "images_with_labels": 3,
        "labels": 3,
        "annotated": 4,
        "precision": 66.67,
        "recall": 50.0,
        "class_f1": 66.67,
    }


def test_annotated_labels_agree_with_themselves_and_none_with_nothing(seed):
    annotated = np.random.default_rng(seed).random((30, 5)) < 0.3
    whole = agreement(LabelRows.of_mask(annotated), LabelRows.of_mask(annotated))
    assert (whole["precision"], whole["recall"], whole["class_f1"]) == (100, 100, 100)
    nothing = agreement(LabelRows.none(*annotated.shape), LabelRows.of_mask(annotated))
    assert (nothing["precision"], nothing["recall"], nothing["class_f1"]) == (0, 0, 0)
