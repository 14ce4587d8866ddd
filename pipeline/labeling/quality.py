"""How well image-level labels agree with the annotated ones of the same images. I images, H HOI classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def agreement(found: NDArray[np.bool_], annotated: NDArray[np.bool_]) -> dict[str, Any]:
    """Return figures for a file; percentages have two decimals.

    `precision` and `recall` are over all labels; `class_f1` is the mean of the F1 of classes that are annotated.

    Args:
        found: bool [I, H].
        annotated: bool [I, H].
    """
    right, made, true = ((mask.sum(0)) for mask in (found & annotated, found, annotated))
    shown = true > 0
    f1 = 2 * right[shown] / (made + true)[shown]
    return {
        "images": len(found),
        "images_with_labels": int(found.any(1).sum()),
        "labels": int(made.sum()),
        "annotated": int(true.sum()),
        "precision": _percent(right.sum(), made.sum()),
        "recall": _percent(right.sum(), true.sum()),
        "class_f1": _percent(f1.sum(), len(f1)),
    }


def _percent(part: float, whole: float) -> float:
    return round(100 * float(part) / float(whole), 2) if whole else 0.0
