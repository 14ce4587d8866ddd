"""The starting bias of s_g: one scalar that puts the mean probability of CLIP's scaled cosines at the label rate."""

from __future__ import annotations

import torch
from torch import Tensor

_STEPS = 60


def calibrated_bias(logits: Tensor, label_rate: float) -> float:
    """Return b with mean sigmoid(logits + b) = label_rate, by bisection.

    Args:
        logits: any shape.
        label_rate: wanted mean probability, inside 0..1.
    """
    low, high = -1e3, 1e3
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if torch.sigmoid(logits.double() + middle).mean().item() < label_rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2
