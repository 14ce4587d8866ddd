"""Checkpoints that the dry runs share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.real_weights import RN50, VIT_B16, VIT_L14_336, save_random_clip


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """Folder of CLIPs of the real sizes; named by their paths, since they are not OpenAI's.

    All but "RN50" have two layers of text: encoding the sentences of HICO-DET takes far longer than training a row.
    """
    folder = tmp_path_factory.mktemp("weights")
    for name, config in (("RN50-2", RN50), ("ViT-B-16", VIT_B16), ("ViT-L-14-336px", VIT_L14_336)):
        save_random_clip(folder / f"{name}.pt", replace(config, transformer_layers=2))
    return save_random_clip(folder / "RN50.pt").parent
