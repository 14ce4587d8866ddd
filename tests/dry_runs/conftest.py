"""Checkpoints that the dry runs share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real_weights import VIT_B16, save_random_clip


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """Folder of CLIPs of the real sizes; named by their paths, since they are not OpenAI's."""
    folder = tmp_path_factory.mktemp("weights")
    save_random_clip(folder / "ViT-B-16.pt", VIT_B16)
    return save_random_clip(folder / "RN50.pt").parent
