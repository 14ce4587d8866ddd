"""Settings of the paper's method; the defaults are the whole method, rows of the ablations switch parts off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline.config.types import Real, Switch, Whole, within
from pipeline.methods.pair_trunk import PairTrunkParams


@dataclass(frozen=True)
class BilevelParams(PairTrunkParams):
    """`model.bilevel`."""

    hoi_recognition: Switch = True  # image-level branch and L_g
    freeze_bank: Switch = False  # Exp 2
    detach_bank: Switch = True  # no gradient from the pair branch to the bank
    ktn: Literal["none", "softmax", "sigmoid", "uniform", "union"] = "softmax"  # eq. (1); App. E
    relatedness: Switch = True  # s_b and L_b
    relatedness_bias: Annotated[Real, within(-20, 20)] = -2.0  # relatedness logits start at it
    top_k: Annotated[Whole, within(1, 10_000)] = 1  # positive pairs of a verb in the pseudo labels (App. F)
    calibrate_global_bias: Switch = True  # start s_g so that its mean probability is the label rate
    # Beyond the paper; off by default.
    bags: Literal["verb", "category"] = "verb"  # pairs that share a label: all of the image, or of one object category
    refinement_heads: Annotated[Whole, within(0, 8)] = 0  # classifiers, each taught by the best pairs of the one before
    refinement_iou: Annotated[Real, within(0, 1)] = 0.5  # of both boxes with the best pair of a positive
    refinement_ramp: Annotated[Real, within(0, 1)] = 0.25  # part of training over which their loss grows to full weight
    union_score: Switch = False  # a factor "union": softmax over the HOI sentences of the union region's similarity
