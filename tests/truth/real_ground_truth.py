"""Where tests find the real annotations of HICO-DET and V-COCO; they skip where those are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "groundtruth"


def real_ground_truth(*parts: str) -> Path:
    """Path of a real annotation file, e.g. `real_ground_truth("hicodet", "instances_test2015.json")`."""
    path = Path(os.environ.get("WEAKHOI_GROUND_TRUTH", _DEFAULT)).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real annotations are absent: {path} (set WEAKHOI_GROUND_TRUTH to their folder)")
    return path
