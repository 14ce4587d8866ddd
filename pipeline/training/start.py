"""The network as training starts it: CLIP's weights where the variant asks for them, seeded random ones elsewhere."""

from __future__ import annotations

import torch
from torchvision.models.detection import FasterRCNN

from pipeline.core.params import ModelParams
from pipeline.core.types import KnowledgeBank
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.backbone import VisualConfig
from pipeline.hoi.backbones import clip_backbone, detector_backbone
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.store.clip_checkpoint import ClipCheckpoint


def build_network(
    clip_checkpoint: ClipCheckpoint,
    bank: KnowledgeBank,
    vocabulary: Vocabulary,
    params: ModelParams,
    *,
    seed: int,
    detector: FasterRCNN | None = None,
) -> WeakHoiNetwork:
    """Return the network before its first step; every random weight comes from `seed`.

    `backbone: random` keeps CLIP's architecture with fresh weights, `rn50_fpn_coco` takes the parts of `detector`;
    `bank: random` draws unit rows of the same width.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        visual = clip_checkpoint.model.visual
        if params.backbone == "random":
            visual = VisualConfig.of(visual).build()
        embeddings = torch.from_numpy(bank.hoi_embeddings)
        if params.bank == "random":
            embeddings = torch.nn.functional.normalize(torch.randn(embeddings.shape), dim=1)
        return WeakHoiNetwork(
            backbone=clip_backbone(visual, params)
            if detector is None
            else detector_backbone(detector, embeddings.shape[1], params),
            hoi_embeddings=embeddings,
            logit_scale=float(clip_checkpoint.model.logit_scale.detach()),
            vocabulary=vocabulary,
            params=params,
            teacher=clip_backbone(clip_checkpoint.model.visual, params) if params.clip_regularization else None,
        )
