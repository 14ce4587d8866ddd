"""Where the parts of a stage are computed: in this process, or by the workers of a running Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pipeline.core.errors import ParamError

if TYPE_CHECKING:
    from distributed import Client

_PATIENCE = 10.0  # seconds that a scheduler has to answer, and then to have a worker


def scheduler_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --scheduler; where it is not given, the stage takes `execution.scheduler` of params.yaml."""
    return click.option(
        "--scheduler",
        metavar="ADDRESS",
        default=None,
        show_default="execution.scheduler of params.yaml",
        help="A running dask.distributed scheduler, e.g. tcp://host:8786; its workers see the same files.",
    )(function)


@contextmanager
def connect(address: str | None, *, patience: float = _PATIENCE) -> Iterator[Client | None]:
    """Yield a client of the scheduler at `address`, which has a worker at least; None where there is no address.

    Raises:
        ParamError: nothing answers there, or it has no workers.
    """
    if address is None:
        yield None
        return
    import logging

    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # a lost connection is told as one line of ours
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
    """Ask what runs there before a Client is made: one that fails to start waits long and leaves threads behind."""
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
