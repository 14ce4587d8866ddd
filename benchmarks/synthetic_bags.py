"""A random model, and random bags: humans and things with boxes anywhere, labels of categories that are there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.backbones.catalog import backbone_class
from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.base import Parts
from pipeline.methods.model import HoiModel, ModelChoice
from pipeline.methods.params import ModelParams
from pipeline.toyworld.vocabulary import toyworld_vocabulary

_LABELS = 3  # HOI classes per image
_IMAGE_SIDE = 480.0  # pixels of the original images
_LOGIT_SCALE = 4.6  # CLIP's own: 100


def vocabulary_of(dataset: str) -> Vocabulary:
    """The toyworld's own, or one of HICO-DET's size: 80 categories, 117 verbs, 600 classes."""
    if dataset == "toyworld":
        return toyworld_vocabulary()
    return Vocabulary(
        objects=("person", *(f"object{index}" for index in range(1, 80))),
        verbs=tuple(f"verb{index}" for index in range(117)),
        hoi_classes=tuple((index % 117, index % 80) for index in range(600)),
    )


def random_model(visual: Any, params: ModelParams, vocabulary: Vocabulary) -> HoiModel:
    """The method of params on CLIP's visual encoder, with a random knowledge bank."""
    choice, width = ModelChoice.of(params), visual.output_dim
    backbone: Any = backbone_class(params.backbone)  # a CLIP's
    bank, objects, verbs = (
        functional.normalize(torch.randn(rows, width), dim=1)
        for rows in (vocabulary.num_hois, vocabulary.num_objects, vocabulary.num_verbs)
    )
    parts = Parts(
        backbone=backbone(visual, choice.backbone_settings),
        bank=bank,
        object_bank=objects,
        verb_bank=verbs,
        logit_scale=_LOGIT_SCALE,
        vocabulary=vocabulary,
    )
    return HoiModel(choice.method, choice.method.build(parts), {"image_size": params.image_size})


@torch.no_grad()
def fit_norms(backbone: nn.Module, images: Tensor) -> None:
    """Set the statistics of batch norms to those of these images: of random weights, maps vanish or overflow else."""
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    backbone.train()(images)


def random_categories(vocabulary: Vocabulary, num_images: int, *, humans: int, things: int) -> Tensor:
    """Object ids [I, humans + things], the humans first; things are of categories that take part in HOI classes."""
    human = vocabulary.human_object_id
    kinds = torch.tensor(sorted(set(vocabulary.hoi_object_ids.tolist()) - {human}))
    chosen = kinds[torch.randint(0, len(kinds), (num_images, things))]
    return torch.cat([torch.full((num_images, humans), human), chosen], 1)


def random_bags(images: Tensor, vocabulary: Vocabulary, categories: Tensor) -> BagBatch:
    """Bags of images, or of their feature maps, [I, ...] with proposals of these categories, [I, proposals]."""
    num_images, rows = len(images), categories.numel()
    corner = torch.rand(rows, 2) * _IMAGE_SIDE * 0.7
    extent = 20 + torch.rand(rows, 2) * (_IMAGE_SIDE - 20 - corner)
    return BagBatch(
        images=images,
        features=torch.zeros(num_images, 0, 0),
        image_sizes=torch.full((num_images, 2), _IMAGE_SIDE),
        proposal_offsets=torch.arange(num_images + 1) * categories.shape[1],
        boxes=torch.cat([corner, corner + extent], 1),
        scores=torch.ones(rows),
        object_ids=categories.flatten(),
        class_probabilities=torch.zeros(rows, 0),
        labels=_labels(vocabulary, categories),
        pair_labels=torch.zeros(0, 3, dtype=torch.int64),
        has_boxes=torch.zeros(num_images, dtype=torch.bool),
        image_index=torch.arange(num_images),
    )


def _labels(vocabulary: Vocabulary, categories: Tensor) -> Tensor:
    """Float32 [I, H]: a few classes of categories that are there."""
    object_of = torch.from_numpy(vocabulary.hoi_object_ids)
    labels = torch.zeros(len(categories), vocabulary.num_hois)
    for image, present in enumerate(categories):
        possible = torch.isin(object_of, present).nonzero().flatten()
        labels[image, possible[torch.randperm(len(possible))[:_LABELS]]] = 1
    return labels
