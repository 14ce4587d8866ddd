"""Images of a downloaded split with their annotated pairs, and what the datasets' JSON forms have in common.

I images, G pairs, H HOI classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import ImageLabels, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.truth.ground_truth import GroundTruth


@dataclass(frozen=True)
class AnnotatedImages:
    """One split as annotated.

    `filenames` [I]; `sizes` int64 [I, 2] width, height in pixels, None where the annotations have none; `truth` the
    pairs, by image, in annotation order.
    """

    vocabulary: Vocabulary
    filenames: tuple[str, ...]
    sizes: IntArray | None
    truth: GroundTruth

    def __len__(self) -> int:
        return len(self.filenames)

    def take(self, rows: IntArray) -> Self:
        """Return some images, rows ascending, with their pairs."""
        return replace(
            self,
            filenames=tuple(self.filenames[row] for row in rows),
            sizes=None if self.sizes is None else self.sizes[rows],
            truth=self.truth.take_images(rows),
        )

    @property
    def image_ids(self) -> tuple[str, ...]:
        """File names without folder and suffix."""
        return tuple(Path(name).stem for name in self.filenames)

    def image_labels(self) -> tuple[ImageLabels, ...]:
        """HOI classes of each image without any box: from image-level labels where read, else from the pairs."""
        shown = self.truth.shown(self.vocabulary.num_hois)
        rows = np.split(shown.hoi_ids, shown.offsets[1:-1])
        return tuple(ImageLabels(image_id, row) for image_id, row in zip(self.image_ids, rows, strict=False))


def known_ids(values: Any, what: str, known: range, path: Path) -> IntArray:
    """Return ids of a file as int64, checked before they could wrap around or count from the end.

    Raises:
        DataError: one is not in `known`.
        ValueError: one is no whole number.
    """
    ids = np.array(values)
    if ids.size and ids.dtype.kind not in "iu":
        raise ValueError(f"{what} ids are not all whole numbers")
    unknown = ids[(ids < known.start) | (ids >= known.stop)]
    if len(unknown):
        raise DataError(f"{path}: {what} id {unknown[0]} is unknown; expected {known.start}..{known.stop - 1}")
    return ids.astype(np.int64)


def pairs_of_images(
    images: Sequence[Mapping[str, Any]], key: str, hoi_ids: IntArray, path: Path, *, first_pixel: int = 0
) -> GroundTruth:
    """Return the pairs of the JSON forms: each image lists the boxes of its pairs under `boxes_h` and `boxes_o`.

    Args:
        key: of the images' lists with an entry for each pair.
        hoi_ids: of all pairs, [G].
        first_pixel: where x1 and y1 count from; x2 and y2 are then inclusive for 1, exclusive for 0.

    Raises:
        DataError: lists of different lengths, or a box that is not finite.
        KeyError, TypeError, ValueError: the images have another structure.
    """
    counts = [len(image[key]) for image in images]
    human_boxes, object_boxes = (
        np.array([box for image in images for box in image[name]], dtype=np.float64).reshape(-1, 4)
        for name in ("boxes_h", "boxes_o")
    )
    check_lengths(path, len(hoi_ids), boxes_h=human_boxes, boxes_o=object_boxes)
    for boxes in (human_boxes, object_boxes):
        if not np.isfinite(boxes).all():
            row = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
            raise DataError(f"{path}: a box of pair {row} is {boxes[row].tolist()}; expected finite numbers")
    image_index = np.repeat(np.arange(len(images)), counts)
    return truth_of_pairs(image_index, hoi_ids, human_boxes, object_boxes, len(images), first_pixel=first_pixel)


def truth_of_pairs(
    image_index: IntArray,
    hoi_ids: IntArray,
    human_boxes: NDArray[np.float64],
    object_boxes: NDArray[np.float64],
    num_images: int,
    *,
    first_pixel: int = 0,
) -> GroundTruth:
    """Return the record of pairs [G] whose boxes [G, 4] are as in a file; `first_pixel` as in `pairs_of_images`."""
    corner = np.array([first_pixel, first_pixel, 0, 0])
    return GroundTruth(
        image_index=image_index.astype(np.int32),
        hoi_id=hoi_ids.astype(np.int16),
        human_boxes=(human_boxes - corner).astype(np.float32),
        object_boxes=(object_boxes - corner).astype(np.float32),
        num_images=num_images,
    )


def check_lengths(path: Path, expected: int, **columns: Any) -> None:
    """Refuse a file whose lists do not fit each other.

    Raises:
        DataError: names the list.
    """
    for name, column in columns.items():
        if len(column) != expected:
            raise DataError(
                f"{path}: {name} has {len(column)} entries, expected {expected}; the file is damaged, download it again"
            )
