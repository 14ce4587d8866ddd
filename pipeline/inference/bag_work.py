"""What `infer` and `represent` share: bags of a split, batch by batch in image order, and outputs cut by image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset, collate_bags
from pipeline.methods.model import HoiModel
from pipeline.methods.pairing import PairRule
from pipeline.store.parts import Arrays
from pipeline.store.ragged import offsets_of


@dataclass(frozen=True)
class BagWork(ABC):
    """Work over the bags of a split.

    Attributes:
        model: its network on the device already.
        digest: names what shapes the result.
        inputs: sha256 of each file that all this was opened from, for the manifest; empty where none was.
    """

    model: HoiModel
    vocabulary: Vocabulary
    bags: BagDataset
    batch_size: int
    digest: str
    device: torch.device
    inputs: Mapping[Path, str] = field(default_factory=dict, kw_only=True)

    @property
    def rule(self) -> PairRule:
        """Which proposals are paired."""
        return PairRule.of(self.vocabulary)

    @property
    def num_images(self) -> int:
        """Images of the split."""
        return len(self.bags)

    @property
    @abstractmethod
    def empty(self) -> Arrays:
        """Zero rows of every array that `run` returns."""

    def batches(self, start: int, stop: int) -> list[range]:
        """Images start..stop in order: the network's input is a square of one size, whatever the image's."""
        return [range(low, min(low + self.batch_size, stop)) for low in range(start, stop, self.batch_size)]

    def load(self, images: Sequence[int]) -> BagBatch:
        """Decode and collate one batch; in page-locked memory for CUDA."""
        batch = collate_bags([self.bags[index] for index in images])
        return batch.pin_memory() if self.device.type == "cuda" else batch

    @abstractmethod
    def run(self, images: Sequence[int], batch: BagBatch) -> list[Arrays]:
        """Compute one batch: the arrays of each image."""


def cut_by_image(arrays: Arrays, counts: Mapping[str, NDArray[Any]]) -> list[Arrays]:
    """Cut a batch's arrays by image; `counts` [I] says how many rows of an array are each image's, one if not named."""
    num_images = len(next(iter(counts.values())))
    ones = np.ones(num_images, np.int64)
    offsets = {name: offsets_of(counts.get(name, ones)) for name in arrays}
    return [
        {name: array[offsets[name][image] : offsets[name][image + 1]] for name, array in arrays.items()}
        for image in range(num_images)
    ]
