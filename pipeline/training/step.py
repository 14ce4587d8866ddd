"""The network on its device, and one optimizer step: forward, losses, backward, clipping, update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.config.params import ExecutionParams
from pipeline.core.bags import BagBatch
from pipeline.core.device import place
from pipeline.core.errors import ParamError
from pipeline.methods.base import BatchCounts, HoiNetwork, Losses, Outputs, check_losses
from pipeline.methods.pairing import PairIndex
from pipeline.training.distributed import Ranks
from pipeline.training.feed import FedBatch


def place_network(network: HoiNetwork, execution: ExecutionParams, device: torch.device, *, moving_norms: bool) -> None:
    """Move a network to its device, in place, as `execution` says; names and values of its parameters stay.

    Args:
        moving_norms: batch norms take their statistics from the batch: a second forward pass would move them twice.

    Raises:
        ParamError: recomputation asked for beside moving norms.
    """
    if execution.gradient_checkpointing and moving_norms:
        raise ParamError(
            "execution.gradient_checkpointing is true and train.freeze_batch_norm false: the second forward pass would "
            "move the statistics again; turn one of them round"
        )
    place(network, device, channels_last=execution.channels_last)
    network.backbone.recompute = execution.gradient_checkpointing
    if execution.compile and device.type == "cuda":
        network.backbone.compile()


class BatchLoss(nn.Module):
    """The weighted loss of a batch: the module that is differentiated and that ranks share.

    Args:
        network, losses: the method's.
        weights: of each loss term, by name, in order.
        precision: "float32", or "bfloat16" for mixed precision in the network; losses are computed in float32.
        check: refuses outputs that are not what the method declares, before it is trained for hours.
    """

    def __init__(
        self,
        network: HoiNetwork,
        losses: Losses,
        weights: Mapping[str, float],
        precision: str,
        check: Callable[[Outputs, BagBatch, PairIndex], None] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.losses, self.weights, self.precision = network, losses, weights, precision
        self._check = check

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of a step's metrics in order: the weighted sum, its terms, and the gradient's norm."""
        return ("loss", *self.weights, "gradient norm")

    def forward(self, bags: BagBatch, pairs: PairIndex, whole: BatchCounts) -> tuple[Tensor, list[Tensor]]:
        """Return the weighted sum of the loss terms, and the terms: scalars."""
        mixed = self.precision == "bfloat16"
        with torch.autocast(bags.images.device.type, torch.bfloat16, enabled=mixed):
            outputs = self.network(bags, pairs)
        if self._check is not None:
            self._check(outputs, bags, pairs)
        if mixed:
            outputs = {name: value.float() for name, value in outputs.items()}
        terms = self.losses(outputs, bags, pairs, whole)
        check_losses(terms, self.weights)
        total = sum((self.weights[name] * terms[name] for name in self.weights), start=bags.images.new_zeros(()))
        return total, [terms[name].detach() for name in self.weights]


def check_micro_batch(micro_batch: int | None, *, couples_images: bool, moving_norms: bool) -> None:
    """Refuse micro-batches where they would change what is learned.

    Args:
        couples_images: `Method.couples_images`.
        moving_norms: batch norms take their statistics from the batch.

    Raises:
        ParamError: says why.
    """
    if micro_batch is None:
        return
    if couples_images:
        raise ParamError(
            f"execution.micro_batch is {micro_batch}, but this method compares the images of a batch in training, "
            "which micro-batches would change; expected null"
        )
    if moving_norms:
        raise ParamError(
            f"execution.micro_batch is {micro_batch} and train.freeze_batch_norm false: statistics would be those of "
            "each micro-batch, not of the batch; expected null, or train.freeze_batch_norm true"
        )


def optimizer_step(
    batch_loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[FedBatch],
    ranks: Ranks,
    *,
    gradient_clip: float,
) -> Tensor:
    """Take one step and return `BatchLoss.figures`, float32 [F], without waiting for them.

    The terms are this rank's part of the batch's; the gradient's norm is the whole batch's, before clipping.

    Args:
        batch_loss: a `BatchLoss`, as `Ranks.share` wraps it.
        parts: the micro-batches of this rank's share of a batch. Gradients add up to those of the share, up to the
            order of float sums: losses divide by the counts of the whole batch.
    """
    device = parts[0].bags.images.device
    whole = BatchCounts(
        images=len(parts[0].image_index),
        bags=ranks.sum(sum(len(part.pairs.bags) for part in parts), device),
        labels=ranks.sum(sum(torch.count_nonzero(part.bags.labels) for part in parts), device),
    )
    optimizer.zero_grad(set_to_none=True)
    shares = []
    for part in parts:
        with nullcontext() if part is parts[-1] else _gradients_kept(batch_loss):
            total, terms = batch_loss(part.bags, part.pairs, whole)
            # Ranks take the mean of their gradients, while the terms add up.
            (total * ranks.size if ranks.size > 1 else total).backward()
        shares.append(torch.stack([total.detach(), *terms]))
    norm = torch.nn.utils.clip_grad_norm_(batch_loss.parameters(), gradient_clip)
    optimizer.step()
    return torch.cat([sum(shares[1:], start=shares[0]), norm[None]])


def _gradients_kept(batch_loss: nn.Module) -> AbstractContextManager[None]:
    """Add up gradients without an exchange between ranks."""
    return batch_loss.no_sync() if isinstance(batch_loss, DistributedDataParallel) else nullcontext()
