"""The rule of section 4.2: a detector for V-COCO must not have been trained on V-COCO's test images.

V-COCO's test images are COCO val2014 images, most of which are in train2017, the training set of torchvision's
published weights. What a detector was trained on can't be read off its weights: `detect.trained_on` declares it.
"""

from __future__ import annotations

DECLARATION = "without V-COCO"


def leakage_warning(dataset: str, trained_on: str) -> str | None:
    """Return one line where a detector for V-COCO is not declared to be without V-COCO's images, else None."""
    if dataset != "vcoco" or DECLARATION.lower() in trained_on.lower():
        return None
    return (
        f'Warning: detect.trained_on is "{trained_on}"; a detector that has seen V-COCO\'s test images leaks them into '
        f'the score (sec. 4.2): train one on COCO less V-COCO\'s images and say "... {DECLARATION}", or state it with '
        "your results"
    )
