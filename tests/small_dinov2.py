"""Folders of a DINOv2 with random weights, as transformers writes them; tests skip where it is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 64, "patch_size": 16}
VIT_S14 = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "image_size": 518, "patch_size": 14}


def transformers() -> Any:
    """The package, or the test is skipped."""
    return pytest.importorskip("transformers", "5", reason="the optional extra weakhoi[dinov2] is not installed")


def random_dinov2(seed: int, kind: str = "Dinov2WithRegisters", **changes: Any) -> Any:
    """transformers' model; no part may start at zero, or a wrong one would go unseen."""
    config = getattr(transformers(), f"{kind}Config")(**SMALL | changes)
    torch.manual_seed(seed)
    model = getattr(transformers(), f"{kind}Model")(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def save_dinov2(folder: Path, model: Any) -> Path:
    """Write the folder: config.json and model.safetensors."""
    transformers().utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    return folder
