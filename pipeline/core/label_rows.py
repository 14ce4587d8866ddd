"""Image-level labels as rows: the HOI classes that each image shows, never a dense matrix of images and classes.

I images, L labels, H HOI classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import FloatArray, IntArray


@dataclass(frozen=True)
class LabelRows:
    """HOI classes of images: offsets int64 [I + 1] cut hoi_ids int64 [L], rising within an image (CSR)."""

    offsets: IntArray
    hoi_ids: IntArray
    num_hois: int

    @classmethod
    def none(cls, num_images: int, num_hois: int) -> Self:
        """Images without a label."""
        return cls(np.zeros(num_images + 1, np.int64), np.zeros(0, np.int64), num_hois)

    @classmethod
    def of_pairs(cls, image_index: NDArray[Any], hoi_ids: NDArray[Any], num_images: int, num_hois: int) -> Self:
        """Labels of images and classes [*] in any order, each counted once."""
        cells = np.unique(image_index.astype(np.int64) * num_hois + hoi_ids)
        image = cells // max(num_hois, 1)
        return cls(_offsets(np.bincount(image, minlength=num_images)), cells - image * num_hois, num_hois)

    @classmethod
    def of_mask(cls, mask: NDArray[Any]) -> Self:
        """Labels where a mask [I, H] is not 0."""
        image_index, hoi_ids = np.nonzero(mask)
        return cls(_offsets(np.bincount(image_index, minlength=len(mask))), hoi_ids, mask.shape[1])

    @classmethod
    def of_lists(cls, hoi_ids: Sequence[IntArray], num_hois: int) -> Self:
        """Labels of each image, ascending."""
        offsets = _offsets(np.array([len(found) for found in hoi_ids], np.int64))
        return cls(offsets, np.concatenate([np.zeros(0, np.int64), *hoi_ids]), num_hois)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def image_index(self) -> IntArray:
        """Image of each label, int64 [L]."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Whether an image has a label, bool [I]."""
        return np.diff(self.offsets) > 0

    def of_image(self, index: int) -> FloatArray:
        """Labels of one image as zeros and ones, float32 [H]."""
        found = np.zeros(self.num_hois, np.float32)
        found[self.hoi_ids[self.offsets[index] : self.offsets[index + 1]]] = 1
        return found

    def mask(self) -> NDArray[np.bool_]:
        """All labels as bool [I, H]: for few images."""
        found = np.zeros((len(self), self.num_hois), np.bool_)
        found[self.image_index, self.hoi_ids] = True
        return found

    def part(self, start: int, stop: int) -> Self:
        """Labels of the images start..stop-1."""
        cuts = self.offsets[start : stop + 1]
        return type(self)(cuts - cuts[0], self.hoi_ids[cuts[0] : cuts[-1]], self.num_hois)

    def take(self, images: IntArray) -> Self:
        """Labels of some images, int64 [*], in that order."""
        counts = np.diff(self.offsets)[images]
        offsets = _offsets(counts)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[images] - offsets[:-1], counts)
        return type(self)(offsets, self.hoi_ids[rows], self.num_hois)

    def of_classes(self, kept: NDArray[np.bool_]) -> Self:
        """Labels of some classes, bool [H], of the same images."""
        chosen = kept[self.hoi_ids]
        counts = np.bincount(self.image_index[chosen], minlength=len(self))
        return type(self)(_offsets(counts), self.hoi_ids[chosen], self.num_hois)


def _offsets(counts: NDArray[Any]) -> IntArray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
