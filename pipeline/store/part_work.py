"""Computing parts: threads load batches of images, batches run in order, a part is written while the next runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from pipeline.store.overlap import load_ahead, write_behind
from pipeline.store.parts import Arrays, PartPlan, concatenate_arrays


class ImageWork(Protocol):
    """What a stage computes of each image of a split."""

    @property
    def digest(self) -> str:
        """Digest of everything that affects the result."""

    @property
    def num_images(self) -> int:
        """Number of images of the split."""

    @property
    def empty(self) -> Arrays:
        """Zero rows of every array that `run` returns."""

    def batches(self, start: int, stop: int) -> Sequence[Sequence[int]]:
        """Cut images start..stop into batches: every image once, in any order."""

    def load(self, images: Sequence[int]) -> Any:
        """Read and decode one batch; called by several threads."""

    def run(self, images: Sequence[int], loaded: Any) -> Sequence[Arrays]:
        """Compute one batch: the arrays of each image, in the order of `images`."""


@dataclass(frozen=True)
class _Batch:
    part: tuple[int, int]
    images: Sequence[int]
    is_last: bool  # of its part


def compute_parts(
    plan: PartPlan,
    ranges: Sequence[tuple[int, int]],
    work: ImageWork,
    *,
    threads: int,
    done: Callable[[int], None] = lambda count: None,
) -> None:
    """Compute those parts of `ranges` that are not on disk; `done` gets the number of images of each, in order.

    Raises:
        UserError: as loading, running or writing; parts that were finished before are kept.
    """
    missing = plan.missing(ranges, done)
    loading = load_ahead(_batches(missing, work), lambda batch: work.load(batch.images), threads=threads)
    found: dict[int, Arrays] = {}
    with closing(loading) as batches, write_behind() as submit:
        for batch, loaded in batches:
            found.update(zip(batch.images, work.run(batch.images, loaded), strict=True))
            if batch.is_last:
                start, stop = batch.part
                arrays = concatenate_arrays([found.pop(image) for image in range(start, stop)], work.empty)
                submit(plan.write, start, stop, arrays, done=partial(done, stop - start))


def _batches(ranges: Sequence[tuple[int, int]], work: ImageWork) -> Iterator[_Batch]:
    for start, stop in ranges:
        cut = work.batches(start, stop)
        for number, images in enumerate(cut):
            yield _Batch((start, stop), images, is_last=number == len(cut) - 1)
