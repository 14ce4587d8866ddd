"""Raw pair logits of a split: the network over all bags in image order, in resumable parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from pipeline.core.params import InferParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.inference.pair_outputs import batch_outputs, dump_of, empty_outputs
from pipeline.store.dump import PredictionDump
from pipeline.store.parts import Arrays, PartPlan, concatenate_parts, run_parts


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
        return concatenate_parts(rows, empty_outputs(vocabulary))

    plan = PartPlan(work, digest, len(dataset), params.part_size)
    return dump_of(list(run_parts(plan, compute, done)), vocabulary, dataset.manifest.image_ids, variant)


def _infer_batch(network: WeakHoiNetwork, dataset: BagDataset, rows: range, device: torch.device) -> Arrays:
    scores = [dataset.proposals.image(index, dataset.max_proposals).scores for index in rows]
    return batch_outputs(network, [dataset[index] for index in rows], scores, device)
