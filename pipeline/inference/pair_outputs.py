"""One batch of bags through the network, to the arrays that a prediction dump is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import Bag, collate_bags
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.store.dump import PredictionDump
from pipeline.store.parts import Arrays, concatenate_parts
from pipeline.store.ragged import offsets_of


@torch.inference_mode()
def batch_outputs(
    network: WeakHoiNetwork, bags: Sequence[Bag], scores: Sequence[NDArray[np.float32]], device: torch.device
) -> Arrays:
    """Raw logits of one batch, flat, with per-image counts of proposals and pairs; `scores` are the proposals'."""
    batch = collate_bags(bags).to(device)
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
    return {name: value.cpu().numpy() for name, value in tensors.items()} | {"proposal_scores": np.concatenate(scores)}


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


def dump_of(parts: list[Arrays], vocabulary: Vocabulary, image_ids: tuple[str, ...], variant: str) -> PredictionDump:
    """Join parts in image order to a dump in memory."""
    joined = concatenate_parts(parts, empty_outputs(vocabulary))
    return PredictionDump(
        vocabulary=vocabulary,
        image_ids=image_ids,
        variant=variant,
        proposal_offsets=offsets_of(joined.pop("proposal_counts").astype(np.int64)),
        pair_offsets=offsets_of(joined.pop("pair_counts").astype(np.int64)),
        **joined,  # type: ignore[arg-type]
    )
