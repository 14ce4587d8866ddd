"""One batch of bags through the network, to the arrays that a prediction dump is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.store.columns import Column
from pipeline.store.dump import PredictionDump
from pipeline.store.parts import Arrays
from pipeline.store.ragged import offsets_of

PROPOSAL_ARRAYS = ("boxes", "proposal_scores", "object_ids")  # a row a proposal
PAIR_ARRAYS = ("human_index", "object_index", "interaction_logits", "relatedness_logits")  # a row a pair


@torch.inference_mode()
def batch_outputs(
    network: WeakHoiNetwork, batch: BagBatch, scores: NDArray[np.float32], device: torch.device
) -> Arrays:
    """Raw logits of one batch, flat, with per-image counts of proposals and pairs; `scores` are the proposals'."""
    batch = batch.to(device, non_blocking=True)
    output = network(batch)
    pairs = output.pairs
    first = batch.proposal_offsets[pairs.image]
    tensors = {
        "image_logits": output.image_logits.float(),
        "proposal_counts": batch.proposal_offsets.diff(),
        "boxes": batch.boxes,
        "object_ids": batch.object_ids,
        "pair_counts": pairs.offsets.diff(),
        "human_index": pairs.human - first,
        "object_index": pairs.object - first,
        "interaction_logits": output.interaction_logits.float(),
        "relatedness_logits": output.relatedness_logits.float(),
    }
    return {name: value.cpu().numpy() for name, value in tensors.items()} | {"proposal_scores": scores}


def empty_outputs(vocabulary: Vocabulary) -> Arrays:
    """Zero rows of every array that `batch_outputs` returns."""
    flat_int = np.zeros(0, np.int64)
    return {
        "image_logits": np.zeros((0, vocabulary.num_hois), np.float32),
        "proposal_counts": flat_int,
        "boxes": np.zeros((0, 4), np.float32),
        "proposal_scores": np.zeros(0, np.float32),
        "object_ids": flat_int,
        "pair_counts": flat_int,
        "human_index": flat_int,
        "object_index": flat_int,
        "interaction_logits": np.zeros((0, vocabulary.num_verbs), np.float32),
        "relatedness_logits": np.zeros(0, np.float32),
    }


def dump_columns(column: Callable[[str], Column]) -> dict[str, Column]:
    """The columns of a dump, from those of `batch_outputs`."""
    columns = {name: column(name) for name in ("image_logits", *PROPOSAL_ARRAYS, *PAIR_ARRAYS)}
    for name in ("proposal", "pair"):
        columns[f"{name}_offsets"] = Column.of(offsets_of(column(f"{name}_counts").read()))
    return columns


def dump_of(arrays: Arrays, vocabulary: Vocabulary, image_ids: tuple[str, ...], variant: str) -> PredictionDump:
    """The arrays of one batch as a dump in memory."""
    columns = dump_columns(lambda name: Column.of(arrays[name]))
    return PredictionDump(
        vocabulary=vocabulary,
        image_ids=image_ids,
        variant=variant,
        **{name: column.read() for name, column in columns.items()},
    )
