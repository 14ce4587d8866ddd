"""How well image-level labels agree with the annotated ones of the same images. I images, H HOI classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.label_rows import LabelRows


def agreement(found: LabelRows, annotated: LabelRows) -> dict[str, Any]:
    """Return figures for a file; percentages have two decimals.

    `precision` and `recall` are over all labels; `class_f1` is the mean of the F1 of classes that are annotated.

    Args:
        found, annotated: of the same images and classes.
    """
    num_hois = found.num_hois
    made_cells, true_cells = (labels.image_index * num_hois + labels.hoi_ids for labels in (found, annotated))
    shared = np.intersect1d(made_cells, true_cells, assume_unique=True) % max(num_hois, 1)
    ids = (shared, found.hoi_ids, annotated.hoi_ids)
    right, made, true = (np.bincount(hoi_ids, minlength=num_hois) for hoi_ids in ids)
    shown = true > 0
    f1 = 2 * right[shown] / (made + true)[shown]
    return {
        "images": len(found),
        "images_with_labels": int(found.labeled.sum()),
        "labels": int(made.sum()),
        "annotated": int(true.sum()),
        "precision": _percent(right.sum(), made.sum()),
        "recall": _percent(right.sum(), true.sum()),
        "class_f1": _percent(f1.sum(), len(f1)),
    }


def _percent(part: float, whole: float) -> float:
    return round(100 * float(part) / float(whole), 2) if whole else 0.0
