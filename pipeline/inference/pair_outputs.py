"""Bags through the network, batch by batch, to the arrays that a prediction dump is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.core.outputs import OutputColumn
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import flip_batch
from pipeline.inference.bag_work import BagWork, cut_by_image
from pipeline.methods.base import check_columns
from pipeline.methods.model import HoiModel
from pipeline.methods.pairing import PairIndex, PairRule
from pipeline.store.dump import PredictionDump
from pipeline.store.parts import Arrays
from pipeline.store.ragged import Column, offsets_of

PROPOSAL_ARRAYS = ("boxes", "proposal_scores", "object_ids")  # one row per proposal
_PAIR_INDICES = ("human_index", "object_index")


def batch_outputs(model: HoiModel, vocabulary: Vocabulary, batch: BagBatch, device: torch.device) -> Arrays:
    """What a dump keeps of one batch, flat, with per-image counts of proposals and pairs.

    Args:
        batch: on the host.

    Raises:
        ParamError: the network's outputs are not those that the method declares.
    """
    pairs = PairRule.of(vocabulary).pair(batch)
    first = batch.proposal_offsets[pairs.image]
    on_device = batch.to(device, non_blocking=True), pairs.to(device, non_blocking=True)
    outputs = network_outputs(model, vocabulary, *on_device)
    tensors = {
        "proposal_counts": batch.proposal_offsets.diff(),
        "boxes": batch.boxes,
        "proposal_scores": batch.scores,
        "object_ids": batch.object_ids,
        "pair_counts": pairs.offsets.diff(),
        "human_index": pairs.human - first,
        "object_index": pairs.object - first,
    } | outputs
    return {name: value.cpu().numpy() for name, value in tensors.items()}


def network_outputs(model: HoiModel, vocabulary: Vocabulary, batch: BagBatch, pairs: PairIndex) -> dict[str, Tensor]:
    """The declared columns of a batch on the network's device, float32; means over mirror images where it flips.

    Raises:
        ParamError: as `batch_outputs`.
    """
    outputs = _columns(model, vocabulary, batch, pairs)
    if model.flips:
        mirrored = flip_batch(batch, torch.ones(len(batch), dtype=torch.bool, device=batch.images.device))
        others = _columns(model, vocabulary, mirrored, pairs)
        outputs = {name: (value + others[name]) / 2 for name, value in outputs.items()}
    return outputs


def _columns(model: HoiModel, vocabulary: Vocabulary, batch: BagBatch, pairs: PairIndex) -> dict[str, Tensor]:
    """The declared columns of a batch, float32."""
    with torch.inference_mode(not model.method.needs_gradients):
        outputs = model.network(batch, pairs)
    check_columns(outputs, batch, pairs, model.method, vocabulary)
    return {column.name: outputs[column.name].detach().float() for column in model.method.columns}


@dataclass(frozen=True)
class InferWork(BagWork):
    """Raw logits of every image; `dump_columns` makes the columns of a dump from its parts."""

    @property
    def empty(self) -> Arrays:
        """Zero rows of every array of `batch_outputs`."""
        return empty_outputs(self.model.method.columns, self.vocabulary)

    def run(self, images: Sequence[int], batch: BagBatch) -> list[Arrays]:
        """Run the network on a batch."""
        arrays = batch_outputs(self.model, self.vocabulary, batch, self.device)
        per_proposal = dict.fromkeys(PROPOSAL_ARRAYS, arrays["proposal_counts"])
        return cut_by_image(
            arrays, per_proposal | dict.fromkeys(pair_arrays(self.model.method.columns), arrays["pair_counts"])
        )


def empty_outputs(columns: Sequence[OutputColumn], vocabulary: Vocabulary) -> Arrays:
    """Zero rows of every array that `batch_outputs` returns."""
    flat_int = np.zeros(0, np.int64)
    counts_and_ids = dict.fromkeys(("proposal_counts", "object_ids", "pair_counts", *_PAIR_INDICES), flat_int)
    boxes = {"boxes": np.zeros((0, 4), np.float32), "proposal_scores": np.zeros(0, np.float32)}
    outputs = {column.name: np.zeros((0, *column.width(vocabulary)), np.float32) for column in columns}
    return {**counts_and_ids, **boxes, **outputs}


def pair_arrays(columns: Sequence[OutputColumn]) -> tuple[str, ...]:
    """Names of the arrays with one row per pair."""
    return (*_PAIR_INDICES, *(column.name for column in columns if column.per == "pair"))


def dump_columns(outputs: Sequence[OutputColumn], column: Callable[[str], Any]) -> dict[str, Any]:
    """Fields of a `PredictionDump`, from the arrays, or columns, of `batch_outputs`."""
    counts = {name: Column.of(column(f"{name}_counts")).read() for name in ("proposal", "pair")}
    return {
        "columns": tuple(outputs),
        "outputs": {output.name: column(output.name) for output in outputs},
        **{name: column(name) for name in (*PROPOSAL_ARRAYS, *_PAIR_INDICES)},
        **{f"{name}_offsets": offsets_of(values) for name, values in counts.items()},
    }


def dump_of(
    arrays: Arrays, outputs: Sequence[OutputColumn], vocabulary: Vocabulary, image_ids: tuple[str, ...], variant: str
) -> PredictionDump:
    """The arrays of one batch as a dump in memory."""
    columns = dump_columns(outputs, arrays.__getitem__)
    return PredictionDump(vocabulary=vocabulary, image_ids=image_ids, variant=variant, **columns)
