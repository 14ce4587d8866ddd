"""A running Dask cluster, which computes the parts of a stage where one is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import ArtifactError, ParamError
from pipeline.store.files import sha256_of

if TYPE_CHECKING:
    from distributed import Client

    from pipeline.config.params import ExecutionParams

_PATIENCE = 10.0  # seconds that a scheduler has to answer, and then to have a worker


def chosen_cluster(option: str | None, execution: ExecutionParams, root: Path) -> tuple[str | None, Path]:
    """The cluster's address (None: this process), and the root, absolute where workers need it."""
    address = option or execution.scheduler
    return address, root.absolute() if address else root


@lru_cache(maxsize=64)
def check_seen(path: Path, digest: str) -> None:
    """On a worker: compare the file at `path` with the caller's digest, once per process.

    Raises:
        ArtifactError: the worker sees other bytes, or nothing.
    """
    found = sha256_of(path) if path.exists() else "no file"
    if found != digest:
        raise ArtifactError(
            f"{path}: a worker sees sha256 {found[:12]} there, the caller {digest[:12]}; "
            "start workers only where this path leads to the same files"
        )


@contextmanager
def connect(address: str | None, *, patience: float = _PATIENCE) -> Iterator[Client | None]:
    """Yield a client of the scheduler at `address`, which has at least one worker; None without an address.

    Raises:
        ParamError: nothing answers there, or it has no workers.
    """
    if address is None:
        yield None
        return
    import logging

    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # we report a lost connection in one line
    _check_scheduler(address, patience)
    with Client(address, timeout=patience) as client:
        try:
            client.wait_for_workers(1, timeout=patience)
        except TimeoutError:
            raise ParamError(
                f'scheduler: {address} has no workers after {patience:.0f} s; start some with "dask worker {address}"'
            ) from None
        yield client


def _check_scheduler(address: str, patience: float) -> None:
    """Ask what runs there before a Client is made: a failed Client takes long and leaves threads behind."""
    import asyncio

    from distributed import rpc

    async def identity() -> dict[str, Any]:
        async with rpc(address) as remote:
            answer: dict[str, Any] = await asyncio.wait_for(remote.identity(), patience)
            return answer

    try:
        kind = asyncio.run(identity())["type"]
        reason = "" if kind == "Scheduler" else f"it is a {kind.lower()}"
    except (OSError, OverflowError, ValueError) as error:
        reason = " ".join(str(error).split()) or f"no answer in {patience:.0f} s"
    if reason:
        raise ParamError(
            f'scheduler: no Dask scheduler at "{address}" ({reason}); '
            "expected tcp://host:port of a running one, or none to work in this process"
        )
