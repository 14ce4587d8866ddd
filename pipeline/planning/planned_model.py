"""The network of a run without its numbers: no weights are needed but files that params name by a path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torchvision.models import detection, get_model_weights, list_models
from torchvision.models.detection import FasterRCNN

from pipeline.backbones.base import Backbone, Sources
from pipeline.backbones.catalog import backbone_class, clip_backbone
from pipeline.backbones.clip_text import ClipText
from pipeline.backbones.dinov2 import DinoV2
from pipeline.config.params import Params
from pipeline.core.vocabulary import Vocabulary
from pipeline.detection.detectors import build_architecture, load_fasterrcnn
from pipeline.detection.params import DetectParams
from pipeline.methods.base import Parts
from pipeline.methods.model import HoiModel, ModelChoice
from pipeline.methods.params import ModelParams
from pipeline.planning.counted_memory import Shapes
from pipeline.planning.published import CLIPS, DINOV2S
from pipeline.prompts.clip_bank import bank_prompts, clip_of, open_clip
from pipeline.prompts.params import ClipParams, PromptParams
from pipeline.store.clip_architecture import build_clip
from pipeline.store.clip_checkpoint import ClipCheckpoint
from pipeline.store.dinov2_checkpoint import build_dinov2

_LOGIT_SCALE = 4.6  # CLIP's; sizes do not depend on it


def planned_model(params: Params, vocabulary: Vocabulary, root: Path, shapes: Shapes) -> HoiModel:
    """The model before its first step, as `new_model` makes it, of tensors that have shapes alone.

    Raises:
        ParamError: params choose what does not exist, or does not go together.
        WeightsError: a file that they name is not there, or is damaged.
    """
    chosen = params[ModelParams]
    choice, clip = ModelChoice.of(chosen), _clip(clip_of(params[ClipParams], chosen.clip), root)
    width = clip.model.text_projection.shape[1]
    tokens = None
    if choice.method.needs_text_encoder:
        tokens = clip.tokenize(bank_prompts(vocabulary, params[PromptParams]).verb_prompts)
    sources = Sources(
        clip=clip,
        detector=lambda: _detector(params[DetectParams], root),
        embed_dim=width,
        image_size=chosen.image_size,
        root=root,
    )
    with torch.device("meta"):
        parts = Parts(
            backbone=_backbone(chosen.backbone, choice.backbone_settings, sources),
            bank=torch.empty(vocabulary.num_hois, width),
            object_bank=torch.empty(vocabulary.num_objects, width),
            verb_bank=torch.empty(vocabulary.num_verbs, width),
            logit_scale=_LOGIT_SCALE,
            vocabulary=vocabulary,
            teacher=_teacher(choice, sources),
            text_encoder=None if tokens is None else ClipText(clip.model, tokens),
        )
        network = choice.method.build(parts)
    shapes.place(network)
    sizes = {"image_size": chosen.image_size, "flip_at_inference": chosen.flip_at_inference}
    return HoiModel(choice.method, network, sizes)


def _clip(params: ClipParams, root: Path) -> ClipCheckpoint:
    """A published CLIP without its weights, or a file's."""
    if params.weights in CLIPS and not (root / params.weights).exists():
        with torch.device("meta"):
            return ClipCheckpoint(build_clip(CLIPS[params.weights]), params.weights, "", None)
    loaded = open_clip(params, root)
    return replace(loaded, model=loaded.model.to("meta"))


def _backbone(name: str, settings: Any, sources: Sources) -> Backbone:
    kind = backbone_class(name)
    if kind is DinoV2 and settings.weights in DINOV2S and not (sources.root / settings.weights).is_dir():
        sizes = DINOV2S[settings.weights]
        return DinoV2(build_dinov2(sizes, settings.weights), sizes, settings, sources.embed_dim)
    return kind.build(sources, settings)


def _teacher(choice: ModelChoice, sources: Sources) -> Backbone | None:
    if not choice.teacher_settings:
        return None
    name = clip_backbone(sources)
    return backbone_class(name).build(sources, choice.teacher_settings[name])


def _detector(params: DetectParams, root: Path) -> tuple[FasterRCNN, dict[str, Any]]:
    """A published detector without its weights, or a file's."""
    if params.detector in list_models(module=detection) and not (root / params.weights).exists():
        published = get_model_weights(params.detector)
        if params.weights in published.__members__:
            categories = published[params.weights].meta["categories"]
            architecture = {"name": params.detector, "num_categories": len(categories)}
            model = build_architecture(architecture)
            if isinstance(model, FasterRCNN):
                return model, architecture
    with torch.device("cpu"):
        loaded, architecture = load_fasterrcnn(params, root=root)
    return loaded.to("meta"), architecture
