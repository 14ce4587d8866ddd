"""One optimiser step: forward, losses, backward, clipping, update. Its figures stay on the device."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from pipeline.core.bags import BagBatch
from pipeline.hoi.losses import BatchCounts, LossTerms, WeakHoiLoss
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.hoi.pairing import PairIndex
from pipeline.training.distributed import Ranks
from pipeline.training.feed import FedBatch

FIGURES = ("loss", "global", "pair", "relatedness", "regularization", "gradient norm")  # of a step, in this order


class BatchLoss(nn.Module):
    """From a batch to its losses: what is differentiated, and what ranks share.

    Args:
        network, loss: the method.
        precision: "float32", or "bfloat16" for mixed precision in the network; losses are computed in float32.
    """

    def __init__(self, network: WeakHoiNetwork, loss: WeakHoiLoss, precision: str) -> None:
        super().__init__()
        self.network, self.loss, self.precision = network, loss, precision

    def forward(
        self, bags: BagBatch, pairs: PairIndex, whole: BatchCounts
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return L and its terms L_g, L_p, L_b, L_reg: scalars."""
        with self._mixed(bags.images.device):
            output = self.network(bags, pairs)
        if self.precision == "bfloat16":
            output = output.in_float32()
        terms: LossTerms = self.loss(output, bags, whole)
        return terms.total, terms.global_loss, terms.pair_loss, terms.relatedness_loss, terms.regularization_loss

    def _mixed(self, device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


def optimizer_step(
    batch_loss: nn.Module, optimizer: torch.optim.Optimizer, batch: FedBatch, ranks: Ranks, *, gradient_clip: float
) -> Tensor:
    """Take one step and return `FIGURES`, float32 [6], without waiting for them.

    The terms are this rank's part of the batch's; the gradient's norm is the whole batch's, before clipping.

    Args:
        batch_loss: a `BatchLoss`, as `Ranks.share` wraps it.
    """
    whole = BatchCounts(len(batch.image_index), ranks.sum(len(batch.pairs.bags), batch.bags.images.device))
    total, *terms = batch_loss(batch.bags, batch.pairs, whole)
    optimizer.zero_grad(set_to_none=True)
    # Ranks take the mean of their gradients, while the terms add up.
    (total * ranks.size if ranks.size > 1 else total).backward()
    norm = torch.nn.utils.clip_grad_norm_(batch_loss.parameters(), gradient_clip)
    optimizer.step()
    return torch.stack([total, *terms, norm]).detach()
