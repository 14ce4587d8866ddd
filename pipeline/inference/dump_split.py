"""Raw pair logits of a split: the network over all bags in image order, in resumable parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pipeline.core.params import InferParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset, collate_bags
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.store.dump import PredictionDump
from pipeline.store.parts import Arrays, PartPlan, concatenate_parts, run_parts
from pipeline.store.ragged import offsets_of


def infer_split(
    network: WeakHoiNetwork,
    dataset: BagDataset,
    vocabulary: Vocabulary,
    params: InferParams,
    *,
    variant: str,
    work: Path,
    digest: str,
    device: torch.device,
    done: Callable[[int], None],
) -> PredictionDump:
    """Run the network over a split and return its dump; `digest` names checkpoint, proposals and params.

    `done` is told the number of images of each finished part.
    """
    network.to(device).eval()

    def compute(start: int, stop: int) -> Arrays:
        rows = [
            _infer_batch(network, dataset, range(low, min(low + params.batch_size, stop)), device)
            for low in range(start, stop, params.batch_size)
        ]
        return concatenate_parts(rows, _empty(vocabulary))

    plan = PartPlan(work, digest, len(dataset), params.part_size)
    joined = concatenate_parts(list(run_parts(plan, compute, done)), _empty(vocabulary))
    return PredictionDump(
        vocabulary=vocabulary,
        image_ids=dataset.manifest.image_ids,
        variant=variant,
        proposal_offsets=offsets_of(joined.pop("proposal_counts").astype(np.int64)),
        pair_offsets=offsets_of(joined.pop("pair_counts").astype(np.int64)),
        **joined,  # type: ignore[arg-type]
    )


@torch.inference_mode()
def _infer_batch(network: WeakHoiNetwork, dataset: BagDataset, rows: range, device: torch.device) -> Arrays:
    bags = [dataset[index] for index in rows]
    batch = collate_bags(bags).to(device)
    output = network(batch)
    pairs = output.pairs
    first = batch.proposal_offsets[pairs.image]
    scores = [dataset.proposals.image(index, dataset.max_proposals).scores for index in rows]
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


def _empty(vocabulary: Vocabulary) -> Arrays:
    """Zero rows of every array that a part holds."""
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
