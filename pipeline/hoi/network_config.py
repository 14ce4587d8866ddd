"""A network as JSON: what a checkpoint records beside its weights, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from pipeline.core.errors import ArtifactError, resource_error
from pipeline.core.params import ModelParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.backbone import VisualConfig
from pipeline.hoi.backbones import clip_backbone, detector_backbone
from pipeline.hoi.network import WeakHoiNetwork


def network_config(
    *,
    visual: VisualConfig,
    vocabulary: Vocabulary,
    model: ModelParams,
    origin: dict[str, Any],
    detector: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the config of a network; `origin` records what its weights started from.

    `detector` is the architecture of the detector whose backbone the network has, as `build_detector` of
    `network_from_config` reads it.
    """
    return {
        "schema_version": 2,
        "visual": visual.to_json(),
        "detector": detector,
        "vocabulary": vocabulary.to_json(),
        "model": asdict(model),
        "origin": origin,
    }


def network_from_config(
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    *,
    build_detector: Callable[[Mapping[str, Any]], FasterRCNN],
) -> WeakHoiNetwork:
    """Return the network of a config with the weights of `state`, in evaluation mode.

    Args:
        build_detector: makes a detector of an architecture, with any weights.

    Raises:
        ArtifactError: the weights are not those of the config's network.
    """
    try:
        params = ModelParams(**config["model"])
        visual, detector = VisualConfig.from_json(config["visual"]), config["detector"]
    except (TypeError, KeyError) as error:
        raise ArtifactError(
            f'checkpoint: config.json is of another version ({error!r}); run "dvc repro train"'
        ) from None
    network = WeakHoiNetwork(
        backbone=clip_backbone(visual.build(), params)
        if detector is None
        else detector_backbone(build_detector(detector), state["bank"].shape[1], params),
        hoi_embeddings=torch.zeros_like(state["bank"]),
        logit_scale=0.0,
        vocabulary=Vocabulary.from_json(config["vocabulary"]),
        params=params,
    )
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise resource_error(error) or ArtifactError(
            f'checkpoint: weights do not fit config.json ({reason}); run "dvc repro train"'
        ) from None
    return network.eval()
