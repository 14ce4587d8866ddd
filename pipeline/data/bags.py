"""Bags: an image, its proposals and its image-level labels, one item per image, collated ragged.

This is all that training reads of a dataset.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from pipeline.core.bags import BagBatch
from pipeline.core.errors import ResourceError, UserError, resource_error
from pipeline.core.label_rows import LabelRows
from pipeline.core.seeding import numpy_generator, torch_generator
from pipeline.core.types import Proposals
from pipeline.data.images import open_split_image
from pipeline.data.pixels import normalize_pixels, square_pixels
from pipeline.data.role_cap import RoleCap
from pipeline.data.split import SplitManifest
from pipeline.store.features_file import SplitFeatures
from pipeline.store.pair_labels_file import SplitPairLabels
from pipeline.store.proposals_file import SplitProposals, StoredProposals
from pipeline.store.ragged import offsets_of

_NO_PAIRS = np.zeros((0, 3), np.int64)
_NO_FEATURES = torch.zeros(0, 0)
_MORE_SHARED_MEMORY = "enlarge it, or set train.num_workers to 0"


@dataclass(frozen=True)
class Bag:
    """One image.

    Attributes:
        index: row of the split's manifest.
        pixels: uint8 [3, S, S]; [3, 0, 0] where features stand for them.
        size: original width and height.
        proposals: its own.
        labels: float32 [H].
        pair_labels: int64 [L, 3], rows of two of its proposals and an HOI class; None where its boxes are not known.
        features: [V, F] as in `BagBatch`; None where there are none.
    """

    index: int
    pixels: Tensor
    size: tuple[int, int]
    proposals: Proposals
    labels: NDArray[np.float32]
    pair_labels: NDArray[np.int64] | None = None
    features: Tensor | None = None


class BagDataset(Dataset[Bag]):
    """Bags of a split in manifest order.

    Args:
        manifest: images and labels.
        proposals: proposals of the same images.
        labels: of the same images; none for inference.
        root: repository root.
        image_side: pixels of the network's square input.
        max_proposals: kept per image, best scores first; a `RoleCap` keeps the best of each role.
        class_probabilities: batches hold them; as far as scores and categories tell where `proposals` has none.
        pair_labels: of the same proposals; None under image-level labels.
        has_boxes: bool [I], images whose pair labels are used; none by default.
        complete: labels say all that an image shows. If not, nothing is known of an image without any: it is left out.
        unseen: bool [H], classes whose labels are left out, with the images that have no others; none by default.
        features: of the same images, which are then not opened.

    Attributes:
        seen: bool [H], the other classes.
        learned: int64, rows of the images that training draws from.
    """

    def __init__(
        self,
        *,
        manifest: SplitManifest,
        proposals: SplitProposals | StoredProposals,
        labels: LabelRows,
        root: Path,
        image_side: int,
        max_proposals: int | RoleCap,
        class_probabilities: bool = False,
        pair_labels: SplitPairLabels | None = None,
        has_boxes: NDArray[np.bool_] | None = None,
        unseen: NDArray[np.bool_] | None = None,
        features: SplitFeatures | None = None,
        complete: bool = True,
    ) -> None:
        self.seen = np.ones(labels.num_hois, np.bool_) if unseen is None else ~unseen
        self.labels = labels if unseen is None else labels.of_classes(self.seen)
        self.manifest, self.proposals = manifest, proposals
        everything = complete and unseen is None
        self.learned = np.arange(len(labels)) if everything else np.flatnonzero(self.labels.labeled)
        self.root, self.image_side, self.max_proposals = root, image_side, max_proposals
        self.class_probabilities = class_probabilities
        self.pair_labels, self.features = pair_labels, features
        self.has_boxes = np.zeros(len(manifest), np.bool_) if has_boxes is None else has_boxes

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def label_rate(self) -> float:
        """Mean label over learned images and seen classes."""
        return float(np.float32(len(self.labels.hoi_ids)) / np.float32(len(self.learned) * self.seen.sum()))

    def __getitem__(self, index: int) -> Bag:
        record = self.manifest.images[index]
        found = self.proposals_of(index)
        if self.class_probabilities:
            found = found.with_class_probabilities(len(self.proposals.objects))
        return Bag(
            index=index,
            pixels=self._pixels(index),
            size=(record.width, record.height),
            proposals=found,
            labels=self.labels.of_image(index),
            pair_labels=self._pair_labels(index),
            features=None if self.features is None else torch.from_numpy(self.features.image(index)),
        )

    def proposals_of(self, index: int) -> Proposals:
        """Those of one image that are paired."""
        if isinstance(self.max_proposals, int):
            return self.proposals.image(index, self.max_proposals)
        found = self.proposals.image(index)
        return found.take(self.max_proposals.rows(found.object_ids))

    def _pixels(self, index: int) -> Tensor:
        if self.features is not None:
            return torch.zeros(3, 0, 0, dtype=torch.uint8)
        return square_pixels(open_split_image(self.manifest, index, self.root), self.image_side)

    def _pair_labels(self, index: int) -> NDArray[np.int64] | None:
        if self.pair_labels is None or not self.has_boxes[index]:
            return None
        cap = self.max_proposals
        rows = np.arange(cap) if isinstance(cap, int) else cap.rows(self.proposals.image(index).object_ids)
        labeled = self.pair_labels.image(index, rows)
        return labeled[self.seen[labeled[:, 2]]]


def collate_bags(bags: Sequence[Bag]) -> BagBatch:
    """Join bags into one ragged batch."""
    proposals = [bag.proposals for bag in bags]
    offsets = offsets_of(np.array([len(found) for found in proposals], np.int64))
    labeled = [
        bag.pair_labels + np.array([first, first, 0])
        for bag, first in zip(bags, offsets[:-1], strict=True)
        if bag.pair_labels is not None
    ]
    return BagBatch(
        images=normalize_pixels(torch.stack([bag.pixels for bag in bags])),
        features=torch.stack([_NO_FEATURES if bag.features is None else bag.features for bag in bags]),
        image_sizes=torch.tensor([bag.size for bag in bags], dtype=torch.float32),
        proposal_offsets=torch.from_numpy(offsets),
        boxes=torch.from_numpy(np.concatenate([found.boxes for found in proposals])),
        scores=torch.from_numpy(np.concatenate([found.scores for found in proposals])),
        object_ids=torch.from_numpy(np.concatenate([found.object_ids for found in proposals])),
        class_probabilities=torch.from_numpy(np.concatenate([_probabilities(found) for found in proposals])),
        labels=torch.from_numpy(np.stack([bag.labels for bag in bags])),
        pair_labels=torch.from_numpy(np.concatenate([_NO_PAIRS, *labeled])),
        has_boxes=torch.tensor([bag.pair_labels is not None for bag in bags]),
        image_index=torch.tensor([bag.index for bag in bags]),
    )


def _probabilities(found: Proposals) -> NDArray[np.float32]:
    """Class probabilities [n, C], or [n, 0] where there are none."""
    if found.class_probabilities is None:
        return np.zeros((len(found), 0), np.float32)
    return found.class_probabilities.astype(np.float32)


def flip_batch(batch: BagBatch, chosen: Tensor) -> BagBatch:
    """Mirror the chosen images (bool [I]) and their proposals left to right."""
    images = torch.where(chosen[:, None, None, None], batch.images.flip(3), batch.images)
    features = torch.where(chosen[:, None, None], batch.features.flip(1), batch.features)
    width = batch.image_sizes[batch.proposal_image, 0]
    x1, y1, x2, y2 = batch.boxes.unbind(1)
    mirrored = torch.stack([width - x2, y1, width - x1, y2], 1)
    boxes = torch.where(chosen[batch.proposal_image, None], mirrored, batch.boxes)
    return replace(batch, images=images, features=features, boxes=boxes)


class EpochSampler(Sampler[list[int]]):
    """Batches of shuffled image indices, a pure function of (seed, epoch), so that training can resume anywhere.

    Args:
        images: int64, rows of the images to draw from.
        batch_size: images per batch; the last, smaller batch of an epoch is left out unless it is the only one.
        seed: root seed.
        start: iterations to skip over all epochs (resume).
        epochs: epochs in total.
        kinds: bool [I] of the split; a batch then holds images of one kind, and batches of both kinds take turns,
            evenly. None, or all alike: all images are of one kind.
    """

    def __init__(
        self,
        *,
        images: NDArray[np.int64],
        batch_size: int,
        seed: int,
        start: int,
        epochs: int,
        kinds: NDArray[np.bool_] | None = None,
    ) -> None:
        self.batch_size, self.seed, self.start, self.epochs = batch_size, seed, start, epochs
        chosen = np.zeros(len(images), np.bool_) if kinds is None else kinds[images]
        rows = [torch.from_numpy(images[chosen == kind]) for kind in (False, True)]
        self._rows = [images for images in rows if len(images)] or rows[:1]

    @property
    def batches_per_epoch(self) -> int:
        """Iterations in one epoch."""
        return sum(self._batches_of(images) for images in self._rows)

    @property
    def smallest_batch(self) -> int:
        """Images of the smallest batch."""
        return min(min(self.batch_size, len(images)) for images in self._rows)

    def _batches_of(self, images: Tensor) -> int:
        return max(1, len(images) // self.batch_size)

    def __len__(self) -> int:
        return self.epochs * self.batches_per_epoch - self.start

    def __iter__(self) -> Iterator[list[int]]:
        for iteration in range(self.start, self.epochs * self.batches_per_epoch):
            epoch, batch = divmod(iteration, self.batches_per_epoch)
            if batch == 0 or iteration == self.start:
                batches = self._epoch(epoch)
            yield batches[batch]

    def _epoch(self, epoch: int) -> list[list[int]]:
        """Batches of an epoch; those of each kind at even distances."""
        placed = []
        for kind, images in enumerate(self._rows):
            stream = ("sampler", epoch, kind) if len(self._rows) > 1 else ("sampler", epoch)
            order = images[torch.randperm(len(images), generator=torch_generator(self.seed, *stream))]
            count = self._batches_of(images)
            parts = order[: count * self.batch_size].split(self.batch_size)
            placed += [((place + 0.5) / count, kind, part.tolist()) for place, part in enumerate(parts)]
        return [part for _, _, part in sorted(placed)]


def load_batches(
    dataset: BagDataset,
    sampler: Sampler[list[int]],
    *,
    num_workers: int,
    pin_memory: bool,
    generator: torch.Generator,
) -> Iterator[BagBatch]:
    """Yield the batches of a sampler, in its order whatever the number of workers.

    A DataLoader would put the traceback of its worker into the message. A damaged image is no bug, so workers return
    such errors as values, and they are raised here.

    Raises:
        UserError: what the dataset raised, once the batches before have been yielded; or a worker ended or had no
            memory left.
    """
    if num_workers:
        _check_shared_memory()
    loader: DataLoader[BagBatch | UserError] = DataLoader(
        _BagsOrErrors(dataset),  # type: ignore[arg-type]
        batch_sampler=sampler,
        collate_fn=_collate,
        num_workers=num_workers,
        pin_memory=pin_memory,
        generator=generator,
    )
    for batch in _until_a_worker_ends(loader):
        if isinstance(batch, UserError):
            raise batch
        yield batch


def _until_a_worker_ends(loader: DataLoader[Any]) -> Iterator[Any]:
    try:
        yield from loader
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        if not reason.startswith("DataLoader worker (pid"):
            raise
        raise ResourceError(
            f"loading images: {reason}; most likely memory ran out: lower num_workers or batch_size, then run again"
        ) from None


def _check_shared_memory() -> None:
    """Check that a lock can be made: a DataLoader without room for its locks fails with an error of torch."""
    try:
        multiprocessing.Lock()
    except OSError as error:
        raise ResourceError(f"/dev/shm: {error.strerror}; {_MORE_SHARED_MEMORY}") from None


class _BagsOrErrors(Dataset[Bag | UserError]):
    def __init__(self, bags: BagDataset) -> None:
        self._bags = bags

    def __getitem__(self, index: int) -> Bag | UserError:
        try:
            return self._bags[index]
        except UserError as error:
            return error
        except (MemoryError, RuntimeError) as error:
            if (lacking := resource_error(error)) is None:
                raise
            return lacking


def _collate(items: Sequence[Bag | UserError]) -> BagBatch | UserError:
    """Batch of all bags, or the first error."""
    errors = [item for item in items if isinstance(item, UserError)]
    if errors:
        return errors[0]
    batch = collate_bags([item for item in items if isinstance(item, Bag)])
    return batch if get_worker_info() is None else _shared(batch)


def _shared(batch: BagBatch) -> BagBatch | UserError:
    """Move a worker's batch to shared memory; in torch's own thread, an error would leave the loader waiting."""
    try:
        for item in fields(batch):
            getattr(batch, item.name).share_memory_()
    except RuntimeError as error:
        return ResourceError(f"/dev/shm: {' '.join(str(error).split())}; {_MORE_SHARED_MEMORY}")
    return batch


def permuted_labels(labels: LabelRows, seed: int) -> LabelRows:
    """Labels permuted among the images: a control that cannot learn which image shows what."""
    return labels.take(numpy_generator(seed, "shuffled labels").permutation(len(labels)))
