"""A network and everything needed to run it, from a checkpoint folder alone; and the folder from a network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pipeline.core.params import ModelParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.backbone import VisualConfig
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.store.checkpoint import load_checkpoint


def checkpoint_config(
    *, visual: VisualConfig, vocabulary: Vocabulary, model: ModelParams, origin: dict[str, Any]
) -> dict[str, Any]:
    """Return the JSON config that `load_network` builds from; `origin` records what the model started from."""
    return {
        "schema_version": 1,
        "visual": visual.to_json(),
        "vocabulary": vocabulary.to_json(),
        "model": asdict(model),
        "origin": origin,
    }


def load_network(folder: Path, *, vocabulary: Vocabulary | None = None) -> tuple[WeakHoiNetwork, dict[str, Any]]:
    """Return (network in evaluation mode, config) of a checkpoint.

    Raises:
        ArtifactError: missing or damaged, or trained on another vocabulary than the one given.
    """
    state, config = load_checkpoint(folder, vocabulary=vocabulary)
    network = WeakHoiNetwork(
        visual=VisualConfig.from_json(config["visual"]).build(),
        hoi_embeddings=torch.zeros_like(state["bank"]),
        logit_scale=0.0,
        vocabulary=Vocabulary.from_json(config["vocabulary"]),
        params=ModelParams(**config["model"]),
    )
    network.load_state_dict(state)
    return network.eval(), config
