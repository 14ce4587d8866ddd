"""Settings of RegFormer; the defaults are those of the published HICO-DET run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline.config.types import Fraction, KnownKeys, Real, Switch, Whole, within


@dataclass(frozen=True)
class RegFormerParams(KnownKeys):
    """`model.regformer`. Temperatures and scales are where learned numbers start."""

    width: Annotated[Whole, within(1, 16_384)] = 768  # D; hidden layers have 4 D
    heads: Annotated[Whole, within(1, 1024)] = 12  # of the cross-attention; they divide the width
    relevance_width: Annotated[Whole, within(1, 16_384)] = 512  # K
    relevance_temperature: Annotated[Real, within(1e-3, 1e3)] = 20.0
    activation_scale: Annotated[Real, within(1e-3, 1e3)] = 10.0
    activation_bias: Annotated[Real, within(-100, 100)] = -5.0
    verb_scale: Annotated[Real, within(1e-3, 1e3)] = 20.0
    verb_bias: Annotated[Real, within(-100, 100)] = -10.0
    kappa: Annotated[Real, within(0, 10)] = 0.5  # exponent of the instance score in training
    focal_alpha: Fraction = 0.25
    focal_gamma: Annotated[Real, within(0, 10)] = 2.0
    freeze_backbone: Switch = True
    lora: Literal["none", "output", "all"] = "none"  # attention matrices of CLIP's text encoder that are adapted
    lora_rank: Annotated[Whole, within(1, 1024)] = 16
    clamp_training: Switch = False  # published: the loss clamps probabilities to 1e-5; nearly no gradient at first
    clamp_inference: Switch = False  # published: pair probabilities of at least 1e-5; their exponents are then fixed
