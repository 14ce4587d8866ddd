"""Relation-aware representations of a split's best-detected pairs, eq. (1), as work that is cut into parts.

Pairs are chosen by their detector scores alone, so that they are the same for all networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.core.errors import DataError, ParamError
from pipeline.core.types import IntArray
from pipeline.inference.bag_work import BagWork, cut_by_image
from pipeline.inference.params import RepresentParams
from pipeline.store.parts import Arrays, FinishedParts
from pipeline.store.ragged import Column, offsets_of


@dataclass(frozen=True)
class RepresentWork(BagWork):
    """Representations of the best-detected pairs of every image.

    Raises:
        ParamError: the method has no knowledge bank; `run` raises it for one without representations.
    """

    params: RepresentParams

    def __post_init__(self) -> None:
        self.bank()

    def bank(self) -> Tensor:
        """W_T [H, D] as the network has it."""
        return self._offered("knowledge bank", getattr(self.model.network, "bank", None)).detach()

    def _offered(self, what: str, found: Any) -> Tensor:
        if found is None:
            name = self.model.config["method"]["name"]
            raise ParamError(f'model.method: "{name}" has no {what} to represent; take another method, e.g. bilevel')
        tensor: Tensor = found
        return tensor

    @property
    def empty(self) -> Arrays:
        """Zero rows of every array that a part holds."""
        flat_int, boxes = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
        return {
            "pair_counts": flat_int,
            "human_boxes": boxes,
            "object_boxes": boxes,
            "object_ids": flat_int,
            "representation": np.zeros((0, self.model.network.backbone.embed_dim), self.params.dtype),
        }

    @torch.inference_mode()
    def run(self, images: Sequence[int], batch: BagBatch) -> list[Arrays]:
        """Run the network on a batch and keep each image's best pairs."""
        pairs = self.rule.pair(batch)
        outputs = self.model.network(batch.to(self.device, non_blocking=True), pairs.to(self.device))
        scores, offsets = batch.scores.numpy(), pairs.offsets.numpy()
        human, partner = pairs.human.numpy(), pairs.object.numpy()
        kept = best_of_images(scores[human] * scores[partner], offsets, self.params.pairs_per_image)
        boxes = batch.boxes.numpy()
        with np.errstate(over="ignore"):  # `representation_columns` refuses what overflows float16
            every = self._offered("pair representation", outputs.get("representation")).float().cpu().numpy()
            representation = every[kept].astype(self.params.dtype)
        arrays = {
            "pair_counts": np.diff(offsets).clip(max=self.params.pairs_per_image),
            "human_boxes": boxes[human[kept]],
            "object_boxes": boxes[partner[kept]],
            "object_ids": batch.object_ids.numpy()[partner[kept]],
            "representation": representation,
        }
        return cut_by_image(arrays, {name: arrays["pair_counts"] for name in arrays if name != "pair_counts"})


def representation_columns(parts: FinishedParts, work: RepresentWork, *, run: str) -> dict[str, Column]:
    """The columns of a representations file, from parts of `RepresentWork`; `run` is its name, for the error.

    Raises:
        DataError: a representation that `params.dtype` cannot hold.
    """
    columns = {name: parts.column(name) for name in ("human_boxes", "object_boxes", "object_ids", "representation")}
    if not all(np.isfinite(piece).all() for piece in columns["representation"].pieces()):
        raise DataError(f"{run}: representations that {work.params.dtype} cannot hold; set represent.dtype to float32")
    columns["offsets"] = Column.of(offsets_of(parts.column("pair_counts").read()))
    columns["bank"] = Column.of(work.bank().float().cpu().numpy())
    return columns


def best_of_images(scores: np.ndarray, offsets: IntArray, limit: int) -> IntArray:
    """Rows of the `limit` highest scores of each image, images in order, best first, the first of equals.

    Args:
        scores: [M].
        offsets: int64 [I + 1], cuts the rows by image.
    """
    image = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-scores, image))  # stable
    rank = np.arange(len(order)) - offsets[image[order]]
    return order[rank < limit]
