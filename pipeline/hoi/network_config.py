"""A network as JSON: what a checkpoint records beside its weights, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from pipeline.core.errors import ArtifactError
from pipeline.core.params import ModelParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.backbone import VisualConfig
from pipeline.hoi.network import WeakHoiNetwork


def network_config(
    *, visual: VisualConfig, vocabulary: Vocabulary, model: ModelParams, origin: dict[str, Any]
) -> dict[str, Any]:
    """Return the config of a network; `origin` records what its weights started from."""
    return {
        "schema_version": 1,
        "visual": visual.to_json(),
        "vocabulary": vocabulary.to_json(),
        "model": asdict(model),
        "origin": origin,
    }


def network_from_config(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> WeakHoiNetwork:
    """Return the network of a config with the weights of `state`, in evaluation mode.

    Raises:
        ArtifactError: the weights are not those of the config's network.
    """
    try:
        params = ModelParams(**config["model"])
    except TypeError as error:
        raise ArtifactError(f'checkpoint: config.json is of another version ({error}); run "dvc repro train"') from None
    network = WeakHoiNetwork(
        visual=VisualConfig.from_json(config["visual"]).build(),
        hoi_embeddings=torch.zeros_like(state["bank"]),
        logit_scale=0.0,
        vocabulary=Vocabulary.from_json(config["vocabulary"]),
        params=params,
    )
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f'checkpoint: weights do not fit config.json ({reason}); run "dvc repro train"') from None
    return network.eval()
