"""Settings of the paper's method; the defaults are the whole method, rows of the ablations switch parts off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.core.params import bounded
from pipeline.methods.pair_trunk import PairTrunkParams


@dataclass(frozen=True)
class BilevelParams(PairTrunkParams):
    """`model.bilevel`."""

    hoi_recognition: bool = True  # image-level branch and L_g
    freeze_bank: bool = False  # Exp 2
    detach_bank: bool = True  # no gradient from the pair branch into the bank
    ktn: Literal["none", "softmax", "sigmoid", "uniform", "union"] = "softmax"  # eq. (1); App. E
    relatedness: bool = True  # s_b and L_b
    relatedness_bias: float = bounded(-20, 20, default=-2.0)  # relatedness logits start at it
    calibrate_global_bias: bool = True  # start s_g so that its mean probability is the label rate
