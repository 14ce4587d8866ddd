"""How far a detected or annotated box may reach beyond its image.

Boxes are not clipped before they are scored, as in the official protocols, and some detectors (DETR and its kin) give
boxes beyond the image. These have their center in the image and are hardly larger than it, so they pass. A box beyond
these limits belongs to another image or another scale, or is x, y, w, h.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import row_blocks
from pipeline.core.boxes import has_extent
from pipeline.core.errors import DataError
from pipeline.core.types import IntArray

CENTER_SLACK = 1.0  # pixels: a +1 convention, rounding
OVERSHOOT = 0.5  # of the image's side: what a normalized (cx, cy, w, h) in 0..1 can reach
UNIT_SHARE = 0.01  # of the boxes: a detector rarely finds something within the image's first pixel

RULE = "the center in the image and no more than half the image's side beyond each border"


def check_pixels(boxes: NDArray[np.floating], where: str) -> None:
    """Refuse boxes in fractions of their image, or a list that mixes them with boxes in pixels.

    Args:
        boxes: finite [T, 4] xyxy; those without width or height are passed over.
        where: what the boxes are, for the message.

    Raises:
        DataError: more than `UNIT_SHARE` of them lie within 0..1; names the first.
    """
    rows = np.flatnonzero(((boxes >= 0) & (boxes <= 1)).all(-1) & has_extent(boxes))
    if len(rows) > UNIT_SHARE * len(boxes):
        raise DataError(
            f"{where}: box {rows[0]} is {boxes[rows[0]].tolist()}, {len(rows)} of {len(boxes)} boxes lie within 0..1; "
            "expected x1, y1, x2, y2 in original-image pixels: multiply by the image's width and height"
        )


def outside_image(boxes: NDArray[np.floating], sizes: IntArray) -> NDArray[np.bool_]:
    """Which boxes are clearly not of their image, bool [T].

    Args:
        boxes: [T, 4] xyxy, in pixels of the original image.
        sizes: width and height of each box's image, int64 [T, 2].
    """
    outside = np.zeros(len(boxes), dtype=np.bool_)
    for rows in row_blocks(len(boxes)):
        corners, sides = np.ascontiguousarray(boxes[rows].T), sizes[rows].T
        for axis in (0, 1):
            low, high, side = corners[axis], corners[axis + 2], sides[axis]
            beyond = OVERSHOOT * side + CENTER_SLACK
            outside[rows] |= (low < -beyond) | (high - side > beyond)
            # Twice the center's distance from the middle.
            outside[rows] |= np.abs((low - side) + high) > side + 2 * CENTER_SLACK
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
