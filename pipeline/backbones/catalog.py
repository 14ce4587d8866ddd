"""Backbones by name: every file of this room that defines `BACKBONE`, or a module of yours by its dotted name."""

from __future__ import annotations

from pipeline import backbones
from pipeline.backbones.base import Backbone
from pipeline.core.plugins import load_plugin


def backbone_class(name: str) -> type[Backbone]:
    """Return the backbone that `model.backbone` names.

    Raises:
        ParamError: there is none of that name.
    """
    return load_plugin(backbones, name, "BACKBONE", "model.backbone")
