"""What stages that open CLIP share."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.params import ClipParams


def download_root(params: ClipParams) -> Path | None:
    """Folder of named CLIP weights; None is CLIP's own default."""
    return Path(params.download_root) if params.download_root else None


def clip_inputs(params: ClipParams) -> list[Path]:
    """The weights file as a manifest input, where params name a file."""
    path = Path(params.weights)
    return [path] if path.exists() else []
