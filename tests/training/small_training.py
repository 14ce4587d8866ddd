"""A network small enough to train in tests, and one batch as a step takes it."""

from __future__ import annotations

import dataclasses

import torch
from clip.model import ModifiedResNet
from torch import Tensor, nn

from pipeline.core.bags import BagBatch
from pipeline.core.params import ModelParams, TrainParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.backbones import clip_backbone
from pipeline.hoi.losses import WeakHoiLoss
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.hoi.pairing import pair_proposals
from pipeline.training.feed import FedBatch


def small_network(
    vocabulary: Vocabulary, model: ModelParams, visual: ModifiedResNet, *, seed: int = 0
) -> WeakHoiNetwork:
    """The same weights each time for one seed."""
    torch.manual_seed(7 + seed)
    return WeakHoiNetwork(
        backbone=clip_backbone(visual, model),
        hoi_embeddings=torch.nn.functional.normalize(torch.randn(vocabulary.num_hois, 24), dim=1),
        logit_scale=2.0,
        vocabulary=vocabulary,
        params=model,
        teacher=clip_backbone(visual, model) if model.clip_regularization else None,
    )


@torch.no_grad()
def fit_norms(visual: ModifiedResNet, images: Tensor) -> None:
    """Set the moving means of batch norm to those of the images: a pretrained encoder's fit its images as well."""
    for module in visual.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches so far, of which there is one
    visual.train()(images)
    visual.eval()


def small_loss(vocabulary: Vocabulary, model: ModelParams, params: TrainParams) -> WeakHoiLoss:
    return WeakHoiLoss(vocabulary=vocabulary, model=model, train=params)


def fed(batch: BagBatch, network: WeakHoiNetwork, device: torch.device) -> FedBatch:
    """A batch on a device, paired on the host."""
    pairs = pair_proposals(
        batch.object_ids,
        batch.proposal_offsets,
        human_object_id=network.human_object_id,
        pairable=network.pairable.cpu(),
    )
    return FedBatch(batch.to(device), pairs.to(device), tuple(range(len(batch))))


def short_run(params: TrainParams, **changes: object) -> TrainParams:
    """Four iterations of five images."""
    settings = {
        "epochs": 2, "batch_size": 5, "checkpoint_every": 2, "warmup_iterations": 2, "num_workers": 0,
        "decay_at": (0.7,), "learning_rate": 3e-3, "backbone_learning_rate": 1e-3, "flip_probability": 0.5, "seed": 0,
        "precision": "float32", "shuffle_labels": False, "freeze_batch_norm": True,
    }  # fmt: skip
    return dataclasses.replace(params, **(settings | changes))
