"""Annotated pairs of a split: the record, and the check of its boxes against the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.image_bounds import RULE, outside_image
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import FloatArray, IntArray, check_record, pair_axes, unusable_boxes
from pipeline.core.vocabulary import Vocabulary


@dataclass(frozen=True)
class GroundTruth:
    """Annotated pairs of a split, flat: image_index int32 [G], hoi_id int16 [G], boxes float32 [G, 4].

    `num_images` counts the images that are scored, those without a pair among them. `image_hois`: image-level labels,
    where the dataset has them apart from boxes (Known Object setting), else None.

    Raises:
        DataError: columns of different lengths, or a pair of an image that is not there.
    """

    image_index: NDArray[np.int32]
    hoi_id: NDArray[np.int16]
    human_boxes: FloatArray
    object_boxes: FloatArray
    num_images: int
    image_hois: LabelRows | None = None

    def __post_init__(self) -> None:
        check_record(self, pair_axes("G"), ids=["image_index", "hoi_id"])
        outside = (self.image_index < 0) | (self.image_index >= self.num_images)
        if outside.any():
            raise DataError(
                f"GroundTruth: image_index {self.image_index[outside][0]} is out of range for {self.num_images} images"
            )

    def __len__(self) -> int:
        return len(self.hoi_id)

    def shown(self, num_hois: int) -> LabelRows:
        """Classes that each image shows: from image-level labels where there are any, else from the pairs."""
        if self.image_hois is not None:
            return self.image_hois
        return LabelRows.of_pairs(self.image_index, self.hoi_id, self.num_images, num_hois)

    def take_images(self, rows: IntArray) -> GroundTruth:
        """Return some images, rows ascending, with their pairs."""
        kept = np.isin(self.image_index, rows)
        return GroundTruth(
            image_index=np.searchsorted(rows, self.image_index[kept]).astype(np.int32),
            hoi_id=self.hoi_id[kept],
            human_boxes=self.human_boxes[kept],
            object_boxes=self.object_boxes[kept],
            num_images=len(rows),
            image_hois=None if self.image_hois is None else self.image_hois.take(rows),
        )


@dataclass(frozen=True)
class AnnotatedBoxes:
    """The boxes of annotated pairs, each once, by image: image_index int64 [B], object_ids int64 [B], boxes [B, 4].

    `human_row` and `object_row` int64 [G] are the boxes of each pair.
    """

    image_index: IntArray
    object_ids: IntArray
    boxes: FloatArray
    human_row: IntArray
    object_row: IntArray

    def __len__(self) -> int:
        return len(self.boxes)


def annotated_boxes(truth: GroundTruth, vocabulary: Vocabulary) -> AnnotatedBoxes:
    """Boxes of humans and objects; the same box of the same category in several pairs is one."""
    object_ids = vocabulary.hoi_object_ids[truth.hoi_id]
    of_humans = np.full(len(truth), vocabulary.human_object_id)
    categories = np.concatenate([of_humans, object_ids])
    images = np.tile(truth.image_index, 2)
    rows = np.column_stack([images, categories, np.concatenate([truth.human_boxes, truth.object_boxes])])
    found, inverse = np.unique(rows.astype(np.float64), axis=0, return_inverse=True)
    human_row, object_row = inverse.reshape(2, -1)
    image_index, ids = found[:, :2].astype(np.int64).T
    return AnnotatedBoxes(image_index, ids, found[:, 2:].astype(np.float32), human_row, object_row)


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
