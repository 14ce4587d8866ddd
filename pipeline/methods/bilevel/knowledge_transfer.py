"""The attention of eq. (1): what a pair's union region recalls from the knowledge bank, and its variants of App. E."""

from __future__ import annotations

import torch
from torch import Tensor


def meta_embedding(union: Tensor, bank: Tensor, logits: Tensor, *, mode: str) -> Tensor:
    """v_meta [M, D] of union-region features.

    Args:
        union: v_u [M, D].
        bank: W_T [H, D].
        logits: W_T x v_u [M, H].
        mode: `softmax` (the method), `sigmoid` (Exp 13), `uniform` (Exp 12) weights over the bank, or `union`
            (Exp 11), which takes v_u itself and no bank.

    Raises:
        ValueError: unknown mode.
    """
    if mode == "softmax":
        return torch.softmax(logits, 1) @ bank
    if mode == "sigmoid":
        return torch.sigmoid(logits) @ bank
    if mode == "uniform":
        return bank.mean(0).expand(len(union), -1)
    if mode == "union":
        return union
    raise ValueError(f"unknown knowledge transfer mode {mode!r}")
