"""Parts of a stage, computed in this process or by the workers of a Dask cluster; the bytes are the same.

Workers get a job: paths, params and a range. Each opens the files itself, once, and writes its parts with an atomic
rename. When a worker dies, the scheduler gives its part to another.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch

from pipeline.config.sections import digest_of
from pipeline.core.errors import ArtifactError, UserError
from pipeline.store.cluster import connect
from pipeline.store.part_work import ImageWork, compute_parts
from pipeline.store.parts import FinishedParts, PartPlan
from pipeline.store.source_files import code_digest
from pipeline.store.work_folder import tell_of_other_work

if TYPE_CHECKING:
    from distributed import Client

Work = TypeVar("Work", bound=ImageWork, covariant=True)
_RETRIES = 2  # of a part that fails for another reason than a user's mistake
_OPENING = Lock()


class Job(Protocol, Generic[Work]):
    """What opens a stage's work: small, hashable, picklable; equal jobs name the same files."""

    @property
    def folder(self) -> Path:
        """Where parts lie while the stage is not done."""

    @property
    def part_size(self) -> int:
        """Images of a part."""

    def __hash__(self) -> int: ...

    def open(self) -> Work:
        """Read everything that computing needs."""


def run_parts(
    job: Job[Work],
    *,
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]],
    tell: Callable[[str], None],
    scheduler: str | None,
    threads: int,
    opened: Callable[[Any], None] = lambda work: None,
) -> tuple[Work, FinishedParts]:
    """Compute all parts of a job's work that are not on disk; return the work, opened here too, and the parts.

    Args:
        progress: opens a progress bar for a number of images; yields a function that advances it by a number.
        tell: prints a line for the user, about parts that cannot be used.
        scheduler: address of the cluster that computes, whose workers see the job's paths; None: this process does.
        threads: that decode images, in each process.
        opened: called with the work before anything is computed; may refuse it.

    Raises:
        UserError: as opening and computing, or no scheduler answers.
    """
    with connect(scheduler) as client:
        work = job.open()
        opened(work)
        plan = PartPlan(job.folder, _key(job, work), work.num_images, job.part_size)
        tell_of_other_work(plan.folder, plan.digest, tell)
        with progress(work.num_images) as advance:
            if client is None:
                compute_parts(plan, plan.ranges(), work, threads=threads, done=advance)
            else:
                _compute_on_cluster(client, job, plan, threads, advance)
    return work, FinishedParts(plan, work.empty)


def _key(job: Job[ImageWork], work: ImageWork) -> str:
    """Digest of what the parts are made from, and of the code that makes them."""
    return digest_of({"work": work.digest, "code": code_digest(type(job).__module__, __name__)})


def _compute_on_cluster(
    client: Client, job: Job[ImageWork], plan: PartPlan, threads: int, done: Callable[[int], None]
) -> None:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, as_completed

    missing = plan.missing(plan.ranges(), done)
    futures = client.map(
        _compute_on_worker,
        missing,
        job=job,
        plan=plan,
        threads=threads,
        torch_threads=torch.get_num_threads(),
        key=[f"{type(job).__name__}-{plan.digest[:16]}-{start}-{stop}" for start, stop in missing],
        retries=_RETRIES,
        pure=False,
    )
    part_of = dict(zip(futures, missing, strict=True))
    try:
        for future in as_completed(futures):
            error = future.result()
            if error is not None:
                raise error
            done(part_of[future][1] - part_of[future][0])
    except KilledWorker as error:
        raise ArtifactError(
            f"scheduler: every worker that was given part {error.task} died; look at their logs and memory, run again"
        ) from None
    except CancelledError:
        raise ArtifactError("scheduler: it stopped before all parts were done; start it and run again") from None
    finally:
        client.cancel(futures)


def _compute_on_worker(
    part: tuple[int, int], *, job: Job[ImageWork], plan: PartPlan, threads: int, torch_threads: int
) -> UserError | None:
    """Make one part; a user's mistake is returned, not raised, since trying again would not help."""
    torch.set_num_threads(torch_threads)  # the order of float sums may depend on it
    try:
        with _OPENING:
            work = _opened(job, plan.digest)
        compute_parts(plan, [part], work, threads=threads)
    except UserError as error:
        return error
    return None


@lru_cache(maxsize=1)
def _opened(job: Job[ImageWork], digest: str) -> ImageWork:
    """The job's work, opened once in a worker process.

    Raises:
        ArtifactError: the worker sees other files than the caller, or runs other code.
    """
    work = job.open()
    found = _key(job, work)
    if found != digest:
        raise ArtifactError(
            f"a worker's files or code are not the caller's (digest {found[:12]}, expected {digest[:12]}); workers "
            "must see the same folder, images and weights, and run the same code and libraries: start them again"
        )
    return work
