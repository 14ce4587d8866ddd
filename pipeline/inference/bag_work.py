"""What `infer` and `represent` share: bags of a split, batch by batch in image order, and outputs cut by image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.core.bags import BagBatch
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset, collate_bags
from pipeline.methods.model import HoiModel
from pipeline.methods.pair_chunks import pairs_at_once
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
        found = [self.bags.proposals_of(index).object_ids for index in range(start, stop)]
        return closed_batches(self.model, self.vocabulary, found, self.batch_size, start)

    def load(self, images: Sequence[int]) -> BagBatch:
        """Decode and collate one batch; in page-locked memory for CUDA."""
        batch = collate_bags([self.bags[index] for index in images])
        return batch.pin_memory() if self.device.type == "cuda" else batch

    @abstractmethod
    def run(self, images: Sequence[int], batch: BagBatch) -> list[Arrays]:
        """Compute one batch: the arrays of each image."""


def closed_batches(
    model: HoiModel, vocabulary: Vocabulary, object_ids: Sequence[IntArray], batch_size: int, start: int = 0
) -> list[range]:
    """Cut images into batches of at most `batch_size` images, and of no more pairs than are computed at once.

    An image with more pairs is a batch of its own.

    Args:
        object_ids: of the proposals of each image, from the image `start` on.
    """
    most = pairs_at_once(model.network.backbone)
    offsets = offsets_of(np.array([len(found) for found in object_ids], np.int64))
    pairs = PairRule.of(vocabulary).counts(np.concatenate([np.zeros(0, np.int64), *object_ids]), offsets)
    firsts: list[int] = []
    held = 0
    for image, count in enumerate(pairs.tolist()):
        if not firsts or held + count > most or image - firsts[-1] == batch_size:
            firsts.append(image)
            held = 0
        held += count
    return [range(start + low, start + high) for low, high in pairwise([*firsts, len(object_ids)])]


def cut_by_image(arrays: Arrays, counts: Mapping[str, NDArray[Any]]) -> list[Arrays]:
    """Cut a batch's arrays by image; `counts` [I] says how many rows of an array are each image's, one if not named."""
    num_images = len(next(iter(counts.values())))
    ones = np.ones(num_images, np.int64)
    offsets = {name: offsets_of(counts.get(name, ones)) for name in arrays}
    return [
        {name: array[offsets[name][image] : offsets[name][image + 1]] for name, array in arrays.items()}
        for image in range(num_images)
    ]
