"""What stages that open CLIP share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline.core.params import ClipParams, ModelParams
from pipeline.store.clip_checkpoint import ClipCheckpoint, load_clip


def open_clip(params: ClipParams, root: Path) -> ClipCheckpoint:
    """Load the CLIP that params name: a file under the root, or one of CLIP's own names."""
    weights = str(root / params.weights) if (root / params.weights).exists() else params.weights
    return load_clip(weights, download_root=Path(params.download_root) if params.download_root else None)


def clip_inputs(params: ClipParams, root: Path) -> list[Path]:
    """The weights file as a manifest input, where params name a file."""
    path = root / params.weights
    return [path] if path.exists() else []


def clip_of(params: ClipParams, weights: str | None) -> ClipParams:
    """The dataset's CLIP, or another one of the same download folder."""
    return params if weights is None else dataclasses.replace(params, weights=weights)


def bank_source(params: ModelParams) -> str | None:
    """Which knowledge bank a row starts from, as `Layout.bank` names it: None is that of the dataset's own CLIP."""
    return "roberta" if params.bank == "roberta" else params.clip
