"""Relation-aware representations of a split's best-detected pairs, eq. (1), in resumable parts.

No label takes part: a pair is kept for its detector scores alone, so that all networks are shown the same pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pipeline.core.errors import DataError
from pipeline.core.params import InferParams, RepresentParams
from pipeline.core.types import IntArray
from pipeline.data.bags import BagDataset, collate_bags
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.store.parts import Arrays, PartPlan, concatenate_parts, run_parts
from pipeline.store.ragged import offsets_of
from pipeline.store.representations_file import SplitRepresentations


def represent_split(
    network: WeakHoiNetwork,
    dataset: BagDataset,
    params: RepresentParams,
    batches: InferParams,
    *,
    run: str,
    work: Path,
    digest: str,
    device: torch.device,
    done: Callable[[int], None],
) -> SplitRepresentations:
    """Run the network over a split and return its pairs; `digest` names checkpoint, proposals and params.

    `done` is told the number of images of each finished part.

    Raises:
        DataError: a representation that `params.dtype` cannot hold.
    """
    network.to(device).eval()

    def compute(start: int, stop: int) -> Arrays:
        rows = [
            _represent_batch(network, dataset, range(low, min(low + batches.batch_size, stop)), params, device)
            for low in range(start, stop, batches.batch_size)
        ]
        return concatenate_parts(rows, _empty(network, params))

    plan = PartPlan(work, digest, len(dataset), batches.part_size)
    joined = concatenate_parts(list(run_parts(plan, compute, done)), _empty(network, params))
    if not np.isfinite(joined["representation"]).all():
        raise DataError(f"{run}: representations that {params.dtype} cannot hold; set represent.dtype to float32")
    return SplitRepresentations(
        image_ids=dataset.manifest.image_ids,
        run=run,
        offsets=offsets_of(joined.pop("pair_counts").astype(np.int64)),
        bank=network.bank.detach().float().cpu().numpy(),
        **joined,  # type: ignore[arg-type]
    )


def best_rows(scores: np.ndarray, offsets: IntArray, limit: int) -> IntArray:
    """Rows of the `limit` highest scores of each image, images in order, best first, the first of equals.

    Args:
        scores: [M].
        offsets: int64 [I + 1], cuts the rows by image.
    """
    image = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-scores, image))  # stable
    rank = np.arange(len(order)) - offsets[image[order]]
    return order[rank < limit]


@torch.inference_mode()
def _represent_batch(
    network: WeakHoiNetwork, dataset: BagDataset, rows: range, params: RepresentParams, device: torch.device
) -> Arrays:
    batch = collate_bags([dataset[index] for index in rows]).to(device)
    output = network(batch)
    scores = np.concatenate([dataset.proposals.image(index, dataset.max_proposals).scores for index in rows])
    offsets = output.pairs.offsets.cpu().numpy()
    human, partner = output.pairs.human.cpu().numpy(), output.pairs.object.cpu().numpy()
    kept = best_rows(scores[human] * scores[partner], offsets, params.pairs_per_image)
    boxes = batch.boxes.cpu().numpy()
    with np.errstate(over="ignore"):  # what overflows float16 is refused by name once the split is whole
        representation = output.representation.float().cpu().numpy()[kept].astype(params.dtype)
    return {
        "pair_counts": np.diff(offsets).clip(max=params.pairs_per_image),
        "human_boxes": boxes[human[kept]],
        "object_boxes": boxes[partner[kept]],
        "object_ids": batch.object_ids.cpu().numpy()[partner[kept]],
        "representation": representation,
    }


def _empty(network: WeakHoiNetwork, params: RepresentParams) -> Arrays:
    """Zero rows of every array that a part holds."""
    flat_int, boxes = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    return {
        "pair_counts": flat_int,
        "human_boxes": boxes,
        "object_boxes": boxes,
        "object_ids": flat_int,
        "representation": np.zeros((0, network.bank.shape[1]), params.dtype),
    }
