"""One process at a time: a lock that the kernel releases however its holder ends, kill -9 included.

It is a POSIX record lock, which works between machines if the shared file system supports it (NFS does, unless mounted
with `nolock`). Without such support, or in a read-only folder, there is no lock, and nothing is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.errors import ResourceError

_HELD = (errno.EACCES, errno.EAGAIN)


@contextmanager
def hold_lock(path: Path, work: str) -> Iterator[None]:
    """Hold the lock for the block, and remove its file at the end.

    Raises:
        ResourceError: another process holds it; names `work` and the process.
    """
    descriptor = _locked(path, work)
    try:
        yield
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _locked(path: Path, work: str) -> int | None:
    """A descriptor that holds the lock; None if there can be none."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return None
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                os.truncate(descriptor, 0)
                os.write(descriptor, f"{os.uname().nodename} process {os.getpid()}".encode())
                return descriptor
            os.close(descriptor)  # its last holder removed it while we opened it
        except OSError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace")
            os.close(descriptor)
            if error.errno not in _HELD:
                return None
            raise ResourceError(
                f"{work}: {holder or 'another process'} is doing this already on the same cache; "
                "wait until it has ended, or end it"
            ) from None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
