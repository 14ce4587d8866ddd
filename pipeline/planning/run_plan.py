"""Memory, parameters, disk and schedule of a run before anything runs: no image, no published weights, no artifact.

The run's own training step and forward pass run over tensors that have shapes alone (`counted_memory`), in float32 or
the run's precision, so that the figures follow the code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
)

from pipeline.backbones.base import freeze_batch_norm
from pipeline.backbones.params import EncodeImagesParams
from pipeline.config.params import ExecutionParams, Params
from pipeline.core.bags import BagBatch
from pipeline.core.errors import ParamError
from pipeline.core.types import IntArray
from pipeline.data.role_cap import RoleCap
from pipeline.inference.bag_work import closed_batches
from pipeline.inference.pair_outputs import network_outputs
from pipeline.inference.params import InferParams
from pipeline.methods.base import trained_state
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairRule
from pipeline.methods.params import ModelParams
from pipeline.planning.counted_memory import MemoryCount, Shapes
from pipeline.planning.dataset_sizes import DatasetSizes, SplitSizes
from pipeline.planning.planned_model import planned_model
from pipeline.store.ragged import offsets_of
from pipeline.training.distributed import ALONE, Ranks, check_shares
from pipeline.training.feed import FedBatch
from pipeline.training.image_features import stored_bytes
from pipeline.training.loop import loss_weights
from pipeline.training.optimizer import build_optimizer
from pipeline.training.params import TrainParams
from pipeline.training.step import BatchLoss, check_micro_batch, optimizer_step
from pipeline.training.supervision import check_supervision

_LABELS = 3  # HOI classes of an image
_IMAGE_SIDE = 480.0  # pixels of an original image
_BY_NUMBERS = (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException)


class NoPlanError(ParamError):
    """The shape of a tensor depends on numbers that only a run has."""


@dataclass(frozen=True)
class Memory:
    """Bytes of tensors.

    Attributes:
        at_rest: of weights and inputs, which lie there before.
        peak: the most at once.
        images, pairs: that were computed at once.
    """

    at_rest: int
    peak: int
    images: int
    pairs: int

    @property
    def above(self) -> int:
        """The peak above what lies there before."""
        return self.peak - self.at_rest


@dataclass(frozen=True)
class Schedule:
    """What `train` asks for: so many iterations of a batch."""

    iterations: int
    batch_size: int

    @property
    def images(self) -> int:
        """That are computed in all, each as often as it is drawn."""
        return self.iterations * self.batch_size


class RunPlan:
    """A run of these params on shapes alone.

    Args:
        params: of a dataset and row.
        sizes: of the dataset.
        root: what paths in params are relative to.

    Raises:
        UserError: as `planned_model`; boxes where the method takes none.
    """

    def __init__(self, params: Params, sizes: DatasetSizes, root: Path) -> None:
        self.params, self.sizes, self.vocabulary = params, sizes, sizes.vocabulary
        self.chosen, self.train = params[ModelParams], params[TrainParams]
        self._shapes, self._rule = Shapes(), PairRule.of(sizes.vocabulary)
        self.model = planned_model(params, sizes.vocabulary, root, self._shapes)
        check_supervision(self.train, self.chosen.method, takes_boxes=self.model.method.takes_boxes)
        self._stored: tuple[tuple[int, ...], ...] = ()
        if self.train.stored_features is not None:
            with self._explained():
                backbone = self.model.network.backbone
                self._stored = backbone.stored_shapes = backbone.fixed_shapes(self.chosen.image_size)

    @cached_property
    def parameters(self) -> tuple[int, int]:
        """Numbers that are trained, and that are not."""
        self._train_mode()
        found = list(self.model.network.parameters())
        trained = sum(one.numel() for one in found if one.requires_grad)
        return trained, sum(one.numel() for one in found) - trained

    @property
    def schedule(self) -> Schedule:
        """Iterations of all epochs, as `data.bags.EpochSampler` counts them where every image is learned from."""
        per_epoch = max(1, self.sizes.train.images // self.train.batch_size)
        return Schedule(per_epoch * self.train.epochs, min(self.train.batch_size, self.sizes.train.images))

    def ways(self, execution: ExecutionParams) -> dict[str, ExecutionParams]:
        """`execution`, and what needs less memory and leaves the results as they are, by name."""
        recomputed = replace(execution, gradient_checkpointing=True)
        found = {_way(execution): execution, _way(recomputed): recomputed}
        if not self.model.method.couples_images:
            single = [replace(way, micro_batch=1) for way in found.values()]
            found.update({_way(way): way for way in single})
        return found if self.train.freeze_batch_norm else {_way(execution): execution}

    def training(self, execution: ExecutionParams, *, ranks: int = 1) -> Memory:
        """Of one step with the optimizer's moments there, over a rank's share of the fullest batch.

        Raises:
            NoPlanError: shapes depend on numbers.
            ParamError: `execution` or `ranks` do not go with `train`; nothing is trained.
        """
        network, method = self.model.network, self.model.method
        moving_norms = not self.train.freeze_batch_norm
        check_shares(Ranks(0, ranks, 0), batch_size=self.schedule.batch_size, moving_norms=moving_norms)
        check_micro_batch(execution.micro_batch, couples_images=method.couples_images, moving_norms=moving_norms)
        crowds = self._training_crowds(-(-self.schedule.batch_size // ranks))
        size = min(execution.micro_batch or len(crowds), len(crowds))
        self._train_mode()
        network.backbone.recompute = execution.gradient_checkpointing
        optimizer = build_optimizer(network, self.train, separate_moments=method.separates_supervision)
        weights = loss_weights(method.loss_names, self.train)
        loss = BatchLoss(network, method.losses(LabeledClasses(self.vocabulary)), weights, self.train.precision)
        parts = [self._training_batch(crowds[low : low + size], len(crowds)) for low in range(0, len(crowds), size)]
        count = MemoryCount(self._shapes, network.parameters(), network.buffers(), *(_tensors(part) for part in parts))
        at_rest = count.held
        before_update: list[int] = []
        optimizer.register_step_pre_hook(lambda *_: before_update.append(count.peak))
        with self._explained(), count:  # gradients lie there from the second part on: no further one needs more
            optimizer_step(loss, optimizer, parts[:2], ALONE, gradient_clip=self.train.gradient_clip)
        # This was the first step, which makes the moments at its end: in the others they lie there from the beginning.
        moments = sum(value.nbytes for state in optimizer.state.values() for value in state.values())
        kinds = len(self._kinds_of_supervision) if method.separates_supervision else 1
        peak = (kinds - 1) * moments + max(count.peak, before_update[0] + moments)
        network.zero_grad(set_to_none=True)
        exchanged = 4 * self.parameters[0] if ranks > 1 else 0  # torch's buckets, in which ranks add up gradients
        return Memory(at_rest, peak + exchanged, size, len(parts[0].pairs))

    def inference(self) -> Memory:
        """Of the network over the batch of test images that needs most.

        Raises:
            NoPlanError: shapes depend on numbers.
        """
        found = [self.forward(crowds) for crowds in self._inference_crowds()]
        return max(found, key=lambda memory: memory.peak)

    def forward(self, crowds: Sequence[IntArray]) -> Memory:
        """Of inference on one batch, with the categories of each image's proposals.

        Raises:
            NoPlanError: as `inference`.
        """
        network = self.model.network.eval()
        bags = self._bags(crowds)
        pairs = self._rule.pair(bags)
        count = MemoryCount(self._shapes, network.parameters(), network.buffers(), vars(bags).values())
        at_rest = count.held
        with self._explained(), count:
            network_outputs(self.model, self.vocabulary, bags, pairs)
        return Memory(at_rest, count.peak, len(bags), len(pairs))

    def disk(self) -> dict[str, int]:
        """Bytes of each artifact, before compression."""
        vocabulary, method, network = self.vocabulary, self.model.method, self.model.network
        test = self.sizes.test.capped(self.params[InferParams].max_proposals)
        pairs, boxes = test.total(test.pairs(self._rule)), test.total(_counts(test))
        per = {"image": 2 * 8, "pair": 2 * 8}  # bytes: offsets; rows of human and object (store/dump.py)
        for column in method.columns:
            per[column.per] += 4 * math.prod(column.width(vocabulary))
        # Of a box: corners, score, category, and probabilities of categories (store/proposals_file.py).
        box = 16 + 4 + 8 + (2 * vocabulary.num_objects if method.needs_class_probabilities else 0)
        rows = vocabulary.num_hois + vocabulary.num_objects + vocabulary.num_verbs
        state = trained_state(network).values()
        sizes = {
            f"proposals, {name}": split.total(_counts(split)) * box
            for name, split in (("train", self.sizes.train), ("test", self.sizes.test))
        }
        sizes["knowledge bank"] = 4 * rows * self._bank_width
        if self._stored:
            stored = stored_bytes(self._stored, self.params[EncodeImagesParams])
            sizes["stored features, train"] = stored * self.sizes.train.images
        sizes["checkpoint"] = sum(tensor.numel() * tensor.element_size() for tensor in state)
        sizes["predictions, test"] = per["image"] * test.images + 28 * boxes + per["pair"] * pairs
        return sizes

    @property
    def _bank_width(self) -> int:
        return self.model.network.backbone.embed_dim

    @property
    def _kinds_of_supervision(self) -> list[bool]:
        """Whether images have boxes; both where some have."""
        share = self.train.share_of_boxes
        return [kind for kind, there in ((False, share < 1), (True, share > 0)) if there]

    def _train_mode(self) -> None:
        self.model.network.train()
        if self.train.freeze_batch_norm:
            freeze_batch_norm(self.model.network)

    def _training_crowds(self, count: int) -> list[IntArray]:
        """Categories of the proposals of the images with most pairs."""
        if not self.model.method.needs_proposals:
            return [np.zeros(0, np.int64)] * count
        cap = RoleCap(self.train.max_proposals, self.vocabulary.human_object_id)
        return self.sizes.train.capped(cap).fullest(count, self._rule)

    def _inference_crowds(self) -> list[list[IntArray]]:
        """The batch with the most pairs, and the one with the most among those of the most images."""
        infer = self.params[InferParams]
        test = self.sizes.test.capped(infer.max_proposals)
        is_known = len(test.object_ids) == test.images
        ids = test.object_ids if is_known else test.object_ids * infer.batch_size
        batches = closed_batches(self.model, self.vocabulary, ids, infer.batch_size)
        found = [[ids[image] for image in batch] for batch in batches]
        if not is_known:  # an image of people alone has the most pairs
            found.append([np.full(infer.max_proposals, self.vocabulary.human_object_id)])
        pairs = [int(SplitSizes(len(batch), tuple(batch)).pairs(self._rule).sum()) for batch in found]
        fullest = max(range(len(found)), key=lambda row: pairs[row])
        largest = max(range(len(found)), key=lambda row: (len(found[row]), pairs[row]))
        return [found[row] for row in dict.fromkeys((fullest, largest))]

    def _training_batch(self, crowds: Sequence[IntArray], whole: int) -> FedBatch:
        """A micro-batch of a batch of `whole` images, with labels, and annotated pairs where the run takes them."""
        bags = self._bags(crowds)
        labels = bags.labels.clone()
        labels[:, :_LABELS] = 1
        pairs, has_boxes = self._rule.pair(bags), self._kinds_of_supervision[-1]
        bags = replace(bags, labels=labels, has_boxes=torch.full((len(bags),), has_boxes))
        if has_boxes:
            first = pairs.offsets[pairs.bags]  # the first pair of each image
            annotated = torch.stack([pairs.human[first], pairs.object[first], torch.zeros_like(first)], 1)
            bags = replace(bags, pair_labels=annotated)
        if self._stored:
            stored = self.params[EncodeImagesParams]
            numbers, dtype = sum(map(math.prod, self._stored)), getattr(torch, stored.dtype)
            features = self._shapes.empty(len(bags), 1 + stored.mirrored, numbers, dtype=dtype)
            bags = replace(bags, images=self._shapes.empty(len(bags), 3, 0, 0), features=features)
        return FedBatch(bags, pairs, tuple(range(whole)))

    def _bags(self, crowds: Sequence[IntArray]) -> BagBatch:
        """Images with shapes alone; proposals of these categories, each with the same box."""
        object_ids = torch.from_numpy(np.concatenate(crowds))
        rows, count, side = len(object_ids), len(crowds), self.chosen.image_size
        probabilities = self.vocabulary.num_objects if self.model.method.needs_class_probabilities else 0
        return BagBatch(
            images=self._shapes.empty(count, 3, side, side),
            features=torch.zeros(count, 0, 0),
            image_sizes=torch.full((count, 2), _IMAGE_SIDE),
            proposal_offsets=torch.from_numpy(offsets_of(np.array([len(found) for found in crowds], np.int64))),
            boxes=torch.tensor([0.25, 0.25, 0.75, 0.75]).mul(_IMAGE_SIDE).repeat(rows, 1),
            scores=torch.ones(rows),
            object_ids=object_ids,
            class_probabilities=torch.zeros(rows, probabilities),
            labels=torch.zeros(count, self.vocabulary.num_hois),
            pair_labels=torch.zeros(0, 3, dtype=torch.int64),
            has_boxes=torch.zeros(count, dtype=torch.bool),
            image_index=torch.arange(count),
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _BY_NUMBERS as error:
            raise NoPlanError(
                f"model.method is {self.chosen.method} and model.backbone {self.chosen.backbone}: the shape of a "
                f"tensor depends on numbers that only a run has ({error.func}); measure a few steps"
            ) from None


def _way(execution: ExecutionParams) -> str:
    size = "whole share" if execution.micro_batch is None else f"micro_batch {execution.micro_batch}"
    return f"{size}, recomputed" if execution.gradient_checkpointing else size


def _counts(split: SplitSizes) -> IntArray:
    """Proposals of each image that is known."""
    return np.array([len(found) for found in split.object_ids], np.int64)


def _tensors(part: FedBatch) -> list[Tensor]:
    return [*vars(part.bags).values(), *vars(part.pairs).values()]
