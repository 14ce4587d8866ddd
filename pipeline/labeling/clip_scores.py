"""CLIP's scores of the images of a split for HOI classes: of the whole image, and of the union regions of its pairs.

A score is a probability: the softmax over all HOI sentences of the similarities (as in Abl 1). An image has scores for
the classes of the categories that were found in it beside a person. No label is read: the bags that the work loads have
none. I images, M pairs, H HOI classes, K (image, class) rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.backbones.base import Sources
from pipeline.backbones.catalog import clip_backbone
from pipeline.config.layout import Layout
from pipeline.config.sections import digest_of
from pipeline.core.bags import BagBatch
from pipeline.core.device import open_device, place
from pipeline.core.label_rows import LabelRows
from pipeline.data.bags import BagDataset
from pipeline.data.split import take_split
from pipeline.inference.bag_work import BagWork, cut_by_image
from pipeline.labeling.params import LabelParams
from pipeline.methods.base import Outputs
from pipeline.methods.model import HoiModel, ModelChoice, new_model
from pipeline.methods.pair_chunks import over_pairs
from pipeline.methods.pair_trunk import bank_logits, union_embeddings
from pipeline.methods.pairing import PairIndex
from pipeline.methods.params import ModelParams
from pipeline.prompts.clip_bank import clip_inputs, open_clip, read_dataset_bank
from pipeline.prompts.params import ClipParams
from pipeline.store.inputs import StageInputs
from pipeline.store.parts import Arrays
from pipeline.store.proposals_file import read_proposals

METHOD = "clip_zero_shot"  # whose network has CLIP's encoder and the bank


@dataclass(frozen=True)
class ClipScoreWork(BagWork):
    """Scores of each image.

    Arrays of a part: counts [I]; hoi_ids [K], ascending by image; scores float32 [K], 0..1.
    """

    params: LabelParams

    @property
    def empty(self) -> Arrays:
        """Zero rows of every array."""
        flat = np.zeros(0, np.int64)
        return {"counts": flat, "hoi_ids": flat, "scores": np.zeros(0, np.float32)}

    @torch.inference_mode()
    def run(self, images: Sequence[int], batch: BagBatch) -> list[Arrays]:
        """Compare one batch with the bank."""
        table = self._scores(batch).float().cpu().numpy()
        found = ~np.isnan(table)
        counts = found.sum(1)
        arrays = {"counts": counts, "hoi_ids": np.nonzero(found)[1], "scores": table[found]}
        return cut_by_image(arrays, {"hoi_ids": counts, "scores": counts})

    def _scores(self, batch: BagBatch) -> Tensor:
        """Score [I, H] of each image for each class; NaN where no pair is of its category."""
        network: Any = self.model.network
        pairs = self.rule.pair(batch)
        batch, pairs = batch.to(self.device, non_blocking=True), pairs.to(self.device)
        features = network.backbone(batch.images)
        compared = network.bank, network.logit_scale, network.params
        whole = bank_logits(network.backbone.global_embedding(features), *compared).softmax(1)
        category = torch.from_numpy(self.vocabulary.hoi_object_ids).to(self.device)

        def of_pairs(pairs: PairIndex) -> Outputs:
            regions = union_embeddings(network.backbone, features, batch, pairs, network.params)
            scores = bank_logits(regions, *compared).softmax(1)
            return {"union": scores.masked_fill(batch.object_ids[pairs.object][:, None] != category, -1)}

        union = over_pairs(of_pairs, pairs, network.backbone)["union"]  # [M, H]
        best = torch.full_like(whole, -1).scatter_reduce(0, pairs.image[:, None].expand_as(union), union, "amax")
        weight = self.params.union_weight
        return (weight * best + (1 - weight) * whole).masked_fill(best < 0, torch.nan)


@dataclass(frozen=True)
class LabelJob:
    """What `label` computes, not yet opened: CLIP, its bank, and images and proposals of a split."""

    layout: Layout
    split: str
    params: LabelParams
    clip: ClipParams
    model: ModelParams = field(hash=False)
    device: str
    channels_last: bool

    @property
    def folder(self) -> Path:
        """Where its parts are kept."""
        return self.layout.work("label")

    @property
    def part_size(self) -> int:
        """Images per part."""
        return self.params.part_size

    def open(self) -> ClipScoreWork:
        """Check the inputs, then read everything.

        Raises:
            UserError: a file is missing, damaged, or does not fit the others.
        """
        layout, inputs = self.layout, StageInputs(self.layout)
        vocabulary, manifest = take_split(inputs, self.split)
        path = inputs.take(layout.proposals(self.split), "detect", self.split)
        proposals = read_proposals(path, image_ids=manifest.image_ids, objects=vocabulary.objects)
        bags = BagDataset(
            manifest=manifest,
            proposals=proposals,
            labels=LabelRows.none(len(manifest), vocabulary.num_hois),
            root=layout.root,
            image_side=self.model.image_size,
            max_proposals=self.params.max_proposals,
        )
        clip_model = open_clip(self.clip, layout.root)
        for file in clip_inputs(self.clip, layout.root):
            inputs.note(file)
        bank = read_dataset_bank(inputs, vocabulary, clip_model)
        sources = Sources(clip_model, _no_detector, bank.hoi_embeddings.shape[1], self.model.image_size)
        chosen = replace(self.model, method=METHOD, backbone=clip_backbone(sources), clip=None, bank="clip")
        model: HoiModel = new_model(ModelChoice.of(chosen), sources, bank, vocabulary, seed=0)
        device = open_device(self.device)
        place(model.network, device, channels_last=self.channels_last).eval()
        return ClipScoreWork(
            model=model,
            vocabulary=vocabulary,
            bags=bags,
            batch_size=self.params.batch_size,
            digest=digest_of({"inputs": inputs.named, "params": [digest_of(self.params), digest_of(chosen.used())]}),
            device=device,
            inputs=inputs.digests,
            params=self.params,
        )


def _no_detector() -> Any:
    raise AssertionError("CLIP's own encoder is no detector's")
