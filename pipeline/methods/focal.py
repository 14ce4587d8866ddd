"""The focal loss (Lin et al. 2017), which methods with many more zeros than ones among their targets share."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def focal_loss(logits: Tensor, labels: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """alpha_t (1 - p_t)^gamma times binary cross-entropy, by entry, [I, H]; alpha is the weight of labeled entries."""
    entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    wrong = (labels - logits.sigmoid()).abs()  # 1 - p_t
    weight = alpha * labels + (1 - alpha) * (1 - labels)
    return weight * wrong**gamma * entropy
