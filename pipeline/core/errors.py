"""The errors that a user can mend.

Every message is one line that says what was wrong, where, what was expected against what was found, and what to do.
The command line prints it and exits with code 2; anything else that is raised is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend. Base of all others; exit code 2."""

    exit_code = 2


class ParamError(UserError):
    """params.yaml holds an unknown key, a wrong type or a value out of range."""


class DataError(UserError):
    """An image, annotation or detection file of the user's is missing or wrong."""


class ArtifactError(UserError):
    """A cached artifact is missing, damaged, or made from something else."""


class WeightsError(UserError):
    """Pretrained weights cannot be found, read or matched to the architecture."""


class ResourceError(UserError):
    """The machine ran out of disk or memory, or another process is at work on the same artifacts."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_NO_MEMORY = ("can't allocate memory", "not enough memory", "unable to allocate shared memory", "unable to mmap")


def resource_error(error: BaseException) -> ResourceError | None:
    """Return what a full disk or memory that ran out means to a user; None for any other error."""
    reason = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in _FULL:
        return ResourceError(f"{error.filename or 'disk'}: {error.strerror}; free space or permissions, then run again")
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or any(s in reason for s in _NO_MEMORY):
        return ResourceError(
            f"memory ran out ({reason or type(error).__name__}); lower batch_size, part_size or num_workers"
        )
    return None


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return `', did you mean "x"?'` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(found, list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""
