"""Backbones by name: every file of this room that defines `BACKBONE`, or a module of yours by its dotted name."""

from __future__ import annotations

from pathlib import Path

from pipeline import backbones
from pipeline.backbones.base import Backbone, Sources
from pipeline.core.plugins import load_plugin, outside_files
from pipeline.store.openai_clip import VisionTransformer


def backbone_class(name: str) -> type[Backbone]:
    """Return the backbone that `model.backbone` names.

    Raises:
        ParamError: there is none of that name.
    """
    return load_plugin(backbones, name, "BACKBONE", "model.backbone")


def backbone_files(name: str) -> list[Path]:
    """File of a backbone that is the user's own module: an input of what reads it."""
    return outside_files(name)


def clip_backbone(sources: Sources) -> str:
    """Name of the backbone that CLIP's own image encoder is."""
    return "clip_vit" if isinstance(sources.clip.model.visual, VisionTransformer) else "clip_resnet"
