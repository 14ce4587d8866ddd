"""Checkpoints of the real architectures with random weights: CLIP RN50, RN101 and ViT-B/16, torchvision's detectors."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.models import get_model_builder

from pipeline.planning.published import CLIPS
from pipeline.store.clip_architecture import ClipConfig, build_clip
from tests.downloads import COCO_NAMES

RN50, RN101, VIT_B16, VIT_L14_336 = (CLIPS[name] for name in ("RN50", "RN101", "ViT-B/16", "ViT-L/14@336px"))


def save_random_clip(path: Path, config: ClipConfig = RN50) -> Path:
    """Write a plain state dict in OpenAI's naming, float16 as theirs."""
    torch.manual_seed(0)
    state = build_clip(config).state_dict()
    for name, value in state.items():
        if name.endswith("bn3.weight"):  # CLIP starts residual branches at zero: a wrong one would go unseen
            value.fill_(0.2)
    torch.save({name: value.half() if value.is_floating_point() else value for name, value in state.items()}, path)
    return path


def save_random_detector(path: Path, name: str, *, seen: tuple[str, ...] = ()) -> Path:
    """Write a torchvision detector's state dict; a Faster R-CNN's classifier favors the categories `seen`."""
    torch.manual_seed(0)
    model = get_model_builder(name)(weights=None, weights_backbone=None, num_classes=len(COCO_NAMES))
    for layer_name, layer in model.backbone.named_modules():
        if layer_name.endswith("bn3"):  # else activations grow with every residual block
            torch.nn.init.constant_(layer.weight, 0.2)
    if seen:
        score = model.roi_heads.box_predictor.cls_score
        torch.nn.init.zeros_(score.weight)
        score.bias.data.fill_(-4.0)
        score.bias.data[[COCO_NAMES.index(category) for category in seen]] = 2.0
    torch.save(model.state_dict(), path)
    return path
