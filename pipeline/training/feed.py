"""Batches as a step takes them: this rank's part, paired on the host, on the device, flipped; and the time they took.

The host never waits for a GPU here: batches come from page-locked memory and are copied on a stream of their own while
the previous step is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.utils.data import Sampler

from pipeline.core.bags import BagBatch
from pipeline.core.device import memory_format
from pipeline.core.seeding import torch_generator
from pipeline.data.bags import BagDataset, EpochSampler, flip_batch, load_batches
from pipeline.methods.pairing import PairIndex, PairRule
from pipeline.training.distributed import Ranks
from pipeline.training.params import TrainParams


@dataclass(frozen=True)
class FedBatch:
    """This rank's share of a batch, or a micro-batch of it, on the device.

    Attributes:
        bags: its images.
        pairs: their pairs.
        image_index: rows of the split's manifest: the images of the whole batch, over all ranks.
    """

    bags: BagBatch
    pairs: PairIndex
    image_index: tuple[int, ...]


class Feed:
    """All batches of a run from iteration `start` on.

    Args:
        dataset: the training split.
        sampler: batches over all ranks.
        rule: which proposals are paired.
        params: the `train` section.
        device: where to.
        ranks: who shares each batch.
        channels_last: memory format of the images, on a GPU.
        micro_batch: images of a micro-batch; None: the whole share of the rank.

    Attributes:
        waited: seconds that the caller has waited for batches.
    """

    def __init__(
        self,
        dataset: BagDataset,
        sampler: EpochSampler,
        rule: PairRule,
        params: TrainParams,
        *,
        device: torch.device,
        ranks: Ranks,
        channels_last: bool,
        micro_batch: int | None = None,
    ) -> None:
        self._dataset, self._sampler, self._params = dataset, sampler, params
        self._device, self._ranks = device, ranks
        self._rule, self._micro_batch = rule, micro_batch
        self._on_gpu = device.type == "cuda"
        self._format = memory_format(device, channels_last=channels_last)
        self._copying = torch.cuda.Stream(device) if self._on_gpu else None
        self.waited = 0.0
        self._began: tuple[float, float] | None = None

    def __iter__(self) -> Iterator[list[FedBatch]]:
        """Yield the micro-batches of each batch; one where nothing is cut."""
        loaded = load_batches(
            self._dataset,
            _PartSampler(self._sampler, self._cuts),
            num_workers=self._params.num_workers,
            pin_memory=self._on_gpu,
            generator=torch_generator(self._params.seed, "loader"),
        )
        if self._params.num_workers == 0:
            loaded = _one_ahead(loaded)
        for iteration, image_index in enumerate(self._sampler, self._sampler.start):
            flipped = self._flips(iteration, len(image_index))
            yield [self._fed(self._next(loaded), flipped[cut], tuple(image_index)) for cut in self._cuts(image_index)]

    def waiting_share(self) -> float:
        """Share of the time since the first call in which no batch was ready."""
        now = time.perf_counter()
        if self._began is None:
            self._began = now, self.waited
            return 0.0
        return (self.waited - self._began[1]) / (now - self._began[0])

    def _cuts(self, image_index: Sequence[int]) -> list[slice]:
        """Which images of a batch are this rank's, in micro-batches."""
        share = self._ranks.part(len(image_index))
        size = self._micro_batch or len(image_index)
        return [slice(low, min(low + size, share.stop)) for low in range(share.start, share.stop, size)]

    def _next(self, loaded: Iterator[BagBatch]) -> BagBatch:
        asked = time.perf_counter()
        batch = next(loaded)
        self.waited += time.perf_counter() - asked
        return batch

    def _fed(self, batch: BagBatch, flipped: Tensor, image_index: tuple[int, ...]) -> FedBatch:
        pairs = self._rule.pair(batch)
        batch, pairs, flipped = self._copied(batch, pairs, flipped)
        if self._params.flip_probability > 0:
            batch = flip_batch(batch, flipped)
        batch = replace(batch, images=batch.images.contiguous(memory_format=self._format))
        return FedBatch(batch, pairs, image_index)

    def _flips(self, iteration: int, whole: int) -> Tensor:
        """Bool [I] of the whole batch, so that ranks and micro-batches change nothing."""
        draws = torch.rand(whole, generator=torch_generator(self._params.seed, "flip", iteration))
        return draws < self._params.flip_probability

    def _copied(self, batch: BagBatch, pairs: PairIndex, flipped: Tensor) -> tuple[BagBatch, PairIndex, Tensor]:
        """On the device; the step that reads the copies starts when they have arrived, and the host goes on."""
        if self._copying is None:
            return batch.to(self._device), pairs.to(self._device), flipped.to(self._device)
        with torch.cuda.stream(self._copying):
            batch = batch.to(self._device, non_blocking=True)
            pairs = pairs.pin_memory().to(self._device, non_blocking=True)
            flipped = flipped.pin_memory().to(self._device, non_blocking=True)
        computing = torch.cuda.current_stream(self._device)
        computing.wait_stream(self._copying)
        for tensor in (*_tensors(batch), *_tensors(pairs), flipped):
            tensor.record_stream(computing)  # no later copy may reuse its memory before the step has read it
        return batch, pairs, flipped


def _one_ahead(batches: Iterator[BagBatch]) -> Iterator[BagBatch]:
    """The same batches in the same order, each made in a thread while the previous step is computed."""
    with ThreadPoolExecutor(1, "loader") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def _tensors(record: BagBatch | PairIndex) -> list[Tensor]:
    return [getattr(record, item.name) for item in fields(record)]


class _PartSampler(Sampler[list[int]]):
    """Slices of each batch, one after the other."""

    def __init__(self, whole: EpochSampler, cuts: Callable[[Sequence[int]], list[slice]]) -> None:
        self._whole, self._cuts = whole, cuts

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._whole:
            for cut in self._cuts(batch):
                yield batch[cut]
