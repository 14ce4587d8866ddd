"""A model small enough to train in tests, of any method and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from pipeline import backbones, methods
from pipeline.backbones.base import Sources
from pipeline.backbones.catalog import backbone_class
from pipeline.core.bags import BagBatch
from pipeline.core.errors import ParamError
from pipeline.core.plugins import names_of
from pipeline.core.types import KnowledgeBank
from pipeline.core.vocabulary import Vocabulary
from pipeline.detection.small_fasterrcnn import small_fasterrcnn
from pipeline.methods.base import BatchCounts, Outputs
from pipeline.methods.catalog import method_class
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import HoiModel, ModelChoice, new_model
from pipeline.methods.pairing import PairIndex, PairRule
from pipeline.methods.params import ModelParams
from pipeline.store.openai_clip import ModifiedResNet, VisionTransformer
from pipeline.training.feed import FedBatch
from pipeline.training.loop import loss_weights
from pipeline.training.params import TrainParams
from pipeline.training.step import BatchLoss

WIDTH = 24  # of the bank


def defined(room: ModuleType, load: Callable[[str], type]) -> list[str]:
    """Modules of a room that `load` accepts."""
    names = []
    for name in names_of(room):
        with suppress(ParamError):
            load(name)
            names.append(name)
    return names


METHODS, BACKBONES = defined(methods, method_class), defined(backbones, backbone_class)


def chosen(
    params: ModelParams, *, method: str = "bilevel", backbone: str = "clip_resnet", **settings: Any
) -> ModelParams:
    """The section with another method or backbone, and with changed settings of the method."""
    own = {**params.settings.get(method, {}), **settings}
    return dataclasses.replace(params, method=method, backbone=backbone, settings={**params.settings, method: own})


def small_model(vocabulary: Vocabulary, params: ModelParams, visual: ModifiedResNet, *, seed: int = 7) -> HoiModel:
    """A model of a random bank, the same for the same seed.

    `detector_fpn` takes the toyworld's architecture, `clip_vit` a vision transformer in place of `visual`.
    """
    visual = random_vit(seed) if params.backbone == "clip_vit" else visual
    generator = torch.Generator().manual_seed(seed + 100)
    bank = random_bank(vocabulary, generator)
    clip = clip_of(visual)

    def detector() -> tuple[Any, dict[str, Any]]:
        torch.manual_seed(seed)
        config = {"image_size": params.image_size}
        architecture = {"name": "small_fasterrcnn", "num_categories": 5, "config": config}
        return small_fasterrcnn(5, **config).eval(), architecture

    sources = Sources(clip, detector, WIDTH, params.image_size)  # type: ignore[arg-type]
    return new_model(ModelChoice.of(params), sources, bank, vocabulary, seed=seed)


def clip_of(visual: nn.Module) -> Any:
    """What a backbone takes of a CLIP."""
    return SimpleNamespace(name="small", model=SimpleNamespace(visual=visual, logit_scale=torch.tensor(2.0)))


def random_vit(seed: int) -> VisionTransformer:
    """A vision transformer for images of 64 pixels."""
    torch.manual_seed(seed)
    visual = VisionTransformer(input_resolution=64, patch_size=16, width=16, layers=3, heads=2, output_dim=WIDTH)
    for parameter in visual.parameters():
        nn.init.normal_(parameter, std=0.2)
    return visual.eval()


def random_bank(vocabulary: Vocabulary, generator: torch.Generator) -> KnowledgeBank:
    """Unit rows of random numbers, without sentences."""
    sizes = (vocabulary.num_hois, vocabulary.num_objects, vocabulary.num_verbs)
    hois, objects, verbs = (
        torch.nn.functional.normalize(torch.randn(rows, WIDTH, generator=generator), dim=1).numpy() for rows in sizes
    )
    return KnowledgeBank(
        prompts=("",) * sizes[0],
        object_prompts=("",) * sizes[1],
        verb_prompts=("",) * sizes[2],
        hoi_embeddings=hois,
        object_embeddings=objects,
        verb_embeddings=verbs,
        clip_name="small",
        clip_digest="0",
    )


def run(model: HoiModel, vocabulary: Vocabulary, batch: BagBatch) -> tuple[PairIndex, Outputs]:
    """Pairs and outputs of a batch, in evaluation mode."""
    pairs = PairRule.of(vocabulary).pair(batch)
    return pairs, model.network.eval()(batch, pairs)


def small_loss(model: HoiModel, vocabulary: Vocabulary, params: TrainParams, precision: str = "float32") -> BatchLoss:
    """The model's weighted losses."""
    losses = model.method.losses(LabeledClasses(vocabulary))
    return BatchLoss(model.network, losses, loss_weights(model.method.loss_names, params), precision)


def counts_of(batch: BagBatch, pairs: PairIndex) -> BatchCounts:
    """A batch that no other rank shares."""
    return BatchCounts(len(batch), len(pairs.bags), int(batch.labels.sum()))


def with_class_probabilities(batch: BagBatch, vocabulary: Vocabulary, *, seed: int = 0) -> BagBatch:
    """The batch as a method gets it that asks for class probabilities: random ones."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(len(batch.boxes), vocabulary.num_objects, generator=generator).softmax(1)
    return dataclasses.replace(batch, class_probabilities=rows)


def images_of(batch: BagBatch, images: list[int]) -> BagBatch:
    """The given images of a batch without annotated pairs, in that order."""
    offsets = batch.proposal_offsets
    rows = torch.cat([torch.arange(int(offsets[image]), int(offsets[image + 1])) for image in images])
    return BagBatch(
        images=batch.images[images],
        features=batch.features[images],
        image_sizes=batch.image_sizes[images],
        proposal_offsets=torch.cat([offsets[:1], offsets.diff()[images]]).cumsum(0),
        boxes=batch.boxes[rows],
        scores=batch.scores[rows],
        object_ids=batch.object_ids[rows],
        class_probabilities=batch.class_probabilities[rows],
        labels=batch.labels[images],
        pair_labels=batch.pair_labels[:0],
        has_boxes=batch.has_boxes[images],
        image_index=batch.image_index[images],
    )


def fed(batch: BagBatch, vocabulary: Vocabulary, device: torch.device) -> FedBatch:
    """A batch on a device, paired on the host."""
    pairs = PairRule.of(vocabulary).pair(batch)
    return FedBatch(batch.to(device), pairs.to(device), tuple(range(len(batch))))


def short_run(params: TrainParams, **changes: object) -> TrainParams:
    """Four iterations of five images."""
    settings = {
        "epochs": 2, "batch_size": 5, "checkpoint_every": 2, "warmup_iterations": 2, "num_workers": 0,
        "decay_at": (0.7,), "learning_rate": 3e-3, "backbone_learning_rate": 1e-3, "flip_probability": 0.5, "seed": 0,
        "precision": "float32", "shuffle_labels": False, "freeze_batch_norm": True,
    }  # fmt: skip
    return dataclasses.replace(params, **(settings | changes))


@torch.no_grad()
def fit_norms(visual: ModifiedResNet, images: Tensor) -> None:
    """Set the moving means of batch norm to those of the images: a pretrained encoder's fit its images as well."""
    for module in visual.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches so far, of which there is one
    visual.train()(images)
    visual.eval()


def image_logits(network: Any, images: Tensor) -> Tensor:
    """s_g of normalized images."""
    return network.image_logits(network.backbone(images))
