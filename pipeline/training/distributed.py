"""Ranks: the processes that share each batch of a training run, one on each GPU, started by `torchrun`.

Each rank takes a run of images of every batch. Rank 0 writes all files. The first rank that fails prints its error; the
others, which would only report that it is gone, end silently. A single process forms no group.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from pipeline.core.errors import ParamError, UserError

_FAILED = "weakhoi/failed"  # in the ranks' store: the number of the rank that failed first
_ENVIRONMENT = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # set by torchrun, beside WORLD_SIZE
_PATIENCE = timedelta(seconds=15)  # for torchrun to end this rank once another has failed


@dataclass(frozen=True)
class Ranks:
    """This process among the others.

    Attributes:
        rank: its number, 0 for the one that writes.
        size: how many there are.
        local_rank: its number on this machine, and that of its GPU.
        store: by which the ranks exchange values; None for a single one.
    """

    rank: int
    size: int
    local_rank: int
    store: distributed.Store | None = None

    @property
    def writes(self) -> bool:
        """Whether this rank writes files and messages."""
        return self.rank == 0

    def part(self, count: int, rank: int | None = None) -> slice:
        """This rank's rows, or another's, of a batch of `count` rows; parts differ by one row at most."""
        rank = self.rank if rank is None else rank
        return slice(rank * count // self.size, (rank + 1) * count // self.size)

    def connect(self, device: torch.device) -> None:
        """Join the group in which tensors on `device` are exchanged: nccl between GPUs, gloo elsewhere."""
        if self.size > 1:
            backend = "nccl" if device.type == "cuda" else "gloo"
            distributed.init_process_group(backend, store=self.store, rank=self.rank, world_size=self.size)

    def share(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its gradients become the mean of all ranks' when they are computed."""
        if self.size == 1:
            return module
        # A warning where a variant happens to use every parameter.
        warnings.filterwarnings("ignore", message="find_unused_parameters=True was specified")
        return DistributedDataParallel(module, find_unused_parameters=True)

    def sum(self, count: int | Tensor, device: torch.device) -> int | Tensor:
        """Sum a count over the ranks: int64 scalar, or the count itself where there is one rank."""
        if self.size == 1:
            return count
        total = torch.zeros((), dtype=torch.int64, device=device) + count
        distributed.all_reduce(total)
        return total

    def gather(self, values: Tensor) -> Tensor:
        """Stack a tensor of every rank, of one shape and type, in the order of ranks: [size, ...]."""
        if self.size == 1:
            return values[None]
        rows = [torch.empty_like(values) for _ in range(self.size)]
        distributed.all_gather(rows, values)
        return torch.stack(rows)

    def stand_by(self) -> NoReturn:
        """Wait to be ended: another rank prints the error, and torchrun ends all ranks as soon as one has ended.

        Raises:
            SystemExit: nobody ended this rank.
        """
        if self.store is not None:
            with suppress(RuntimeError):
                self.store.wait([f"{_FAILED}/never"], _PATIENCE)
        raise SystemExit(UserError.exit_code)

    def first_to_fail(self) -> bool:
        """Note that this rank failed; False if another failed before."""
        if self.store is None:
            return True
        try:
            return int(self.store.compare_set(_FAILED, "", str(self.rank))) == self.rank
        except RuntimeError:  # the store has gone, and with it the rank that kept it
            return False


ALONE = Ranks(rank=0, size=1, local_rank=0)


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Yield this process's place among those that torchrun started; `ALONE` where it started one, or none.

    Raises:
        ParamError: WORLD_SIZE is set without the other variables of torchrun.
        SystemExit: another rank failed, and has said why.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield ALONE
        return
    if missing := [name for name in _ENVIRONMENT if name not in os.environ]:
        raise ParamError(
            f"the environment says WORLD_SIZE={os.environ['WORLD_SIZE']} but not {', '.join(missing)}; "
            "start with torchrun, or unset WORLD_SIZE for one process"
        )
    store, rank, size = next(rendezvous("env://"))
    ranks = Ranks(rank, size, int(os.environ["LOCAL_RANK"]), store)
    try:
        yield ranks
    except Exception:
        if not ranks.first_to_fail():
            ranks.stand_by()
        raise
    if distributed.is_initialized():
        distributed.destroy_process_group()


def check_shares(ranks: Ranks, *, batch_size: int, moving_norms: bool) -> None:
    """Refuse what ranks cannot share with the same result.

    Args:
        batch_size: images of a batch over all ranks.
        moving_norms: batch norms take their statistics from the batch.

    Raises:
        ParamError: fewer images than ranks, or statistics that would be of each rank's images.
    """
    if ranks.size == 1:
        return
    if batch_size < ranks.size:
        raise ParamError(
            f"a batch of {batch_size} images cannot be shared by {ranks.size} ranks (train.batch_size counts those of "
            f"all ranks); start at most {batch_size} with torchrun --nproc-per-node"
        )
    if moving_norms:
        raise ParamError(
            f"train.freeze_batch_norm is false: statistics would be those of each rank's images, not of the batch, on "
            f"{ranks.size} ranks; set it to true, or train on one rank"
        )
