"""How far a box may reach beyond its image before it can't be a box of that image, detected or annotated.

Boxes are never clipped before they are scored, as officially, and detectors that don't clip (DETR's kind, jittered or
regressed boxes) overshoot. Their boxes still have their centre in the image and are hardly larger than it, so that
this much is let through; a box past it belongs to another image or another scale, or is x, y, w, h.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import GroundTruth, IntArray, unusable_boxes

CENTRE_SLACK = 1.0  # pixels: a +1 convention, rounding
OVERSHOOT = 0.5  # of the image's side: what a normalised (cx, cy, w, h) in 0..1 can reach

RULE = "the centre in the image and no more than half the image's side beyond each border"


def outside_image(boxes: NDArray[np.floating], sizes: IntArray) -> NDArray[np.bool_]:
    """Which boxes are clearly not of their image, bool [T].

    Args:
        boxes: [T, 4] xyxy, in pixels of the original image.
        sizes: width and height of each box's image, int64 [T, 2].
    """
    outside = np.zeros(len(boxes), dtype=np.bool_)
    for axis in (0, 1):
        low, high, side = boxes[:, axis], boxes[:, axis + 2], sizes[:, axis]
        beyond = OVERSHOOT * side + CENTRE_SLACK
        outside |= (low < -beyond) | (high - side > beyond)
        outside |= np.abs((low - side) + high) > side + 2 * CENTRE_SLACK  # twice the centre's way from the middle
    return outside


def check_inside(boxes: NDArray[np.floating], sizes: IntArray, where: str) -> None:
    """Refuse boxes that are clearly not of their image.

    Args:
        boxes, sizes: as `outside_image`.
        where: what the boxes are, for the message.

    Raises:
        DataError: names the first such box and counts them.
    """
    rows = np.flatnonzero(outside_image(boxes, sizes))
    if len(rows):
        row = int(rows[0])
        width, height = sizes[row].tolist()
        raise DataError(
            f"{where}: box {row} is {boxes[row].tolist()}, outside its image of {width} x {height} pixels "
            f"({len(rows)} boxes are); expected x1, y1, x2, y2 in original-image pixels, {RULE}: "
            "check the image's index and the scale, or clip the boxes"
        )


def check_scored_boxes(truth: GroundTruth, sizes: IntArray, names: Sequence[str], where: str) -> None:
    """Refuse annotated boxes that nothing could match: not finite, inverted, or clearly outside their image.

    For every pair that is scored against, whatever file it comes from; training needs no boxes.

    Args:
        sizes: width and height of the images, int64 [I, 2].
        names: of the images, [I].
        where: the file, for the message.

    Raises:
        DataError: names the first, with its image, and counts them.
    """
    image_sizes = sizes[truth.image_index]
    for kind, boxes in (("human", truth.human_boxes), ("object", truth.object_boxes)):
        unusable = unusable_boxes(boxes)
        rows = np.flatnonzero(unusable | outside_image(np.where(unusable[:, None], 0, boxes), image_sizes))
        if len(rows):
            row = int(rows[0])
            width, height = image_sizes[row].tolist()
            raise DataError(
                f'{where}: {kind} box of pair {row}, image "{names[truth.image_index[row]]}" of {width} x {height} '
                f"pixels, is {boxes[row].tolist()} (x1, y1, x2, y2, from 0, right and bottom exclusive); "
                f"expected finite x1 <= x2, y1 <= y2, {RULE}: correct the annotations ({len(rows)} {kind} boxes are so)"
            )
