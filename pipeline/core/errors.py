"""Errors that a user can fix.

Every message is one line that says what was wrong, where, what was expected against what was found, and what to do.
The command line prints it and exits with code 2; anything else that is raised is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake that the user can fix. Base of all others; exit code 2."""

    exit_code = 2


class ParamError(UserError):
    """params.yaml holds an unknown key, a wrong type or a value out of range."""


class DataError(UserError):
    """An image, annotation or detection file of the user's is missing or wrong."""


class ArtifactError(UserError):
    """A cached artifact is missing, damaged, or made from something else."""


class WeightsError(UserError):
    """Pretrained weights cannot be found, read or matched to the architecture."""


class DownloadError(UserError):
    """A file cannot be fetched, or what arrived is not the published one."""


class ResourceError(UserError):
    """The machine ran out of disk or memory, or another process is at work on the same artifacts."""


class NoMemoryError(ResourceError):
    """Memory ran out.

    Args:
        remedy: how to need less; None: that depends on the stage, so its command adds it.
    """

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message if remedy is None else f"{message}; {remedy}")
        self.remedy = remedy


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "unable to allocate shared memory",
    "unable to mmap",
)


@contextmanager
def needs_extra(extra: str, package: str, needed_by: str, *, otherwise: str = "") -> Iterator[None]:
    """Around the import of a package that an extra of ours installs; `otherwise`: what else the user can do.

    Raises:
        ParamError: it is not installed.
    """
    try:
        yield
    except ImportError:
        remedy = f'run "pip install weakhoi[{extra}]"{otherwise}'
        raise ParamError(f"{needed_by} needs the package {package}; {remedy}") from None


def resource_error(error: BaseException) -> ResourceError | None:
    """Translate an error of the machine: a full disk, no memory, threads or open files left, a file in use.

    None for any other error. A reader asks here before it calls its file damaged: making the file again would not help.
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    number, said = getattr(error, "errno", None), reason.lower()
    if isinstance(error, OSError) and number in _FULL:
        return ResourceError(f"{error.filename or 'disk'}: {error.strerror}; free space or permissions, then run again")
    is_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or number == errno.ENOMEM
    if is_memory or any(text in said for text in _NO_MEMORY):
        return NoMemoryError(f"memory ran out ({reason})")
    if number in (errno.EMFILE, errno.ENFILE) or "too many open files" in said:
        return ResourceError(f"too many files are open ({reason}); raise the limit (ulimit -n), then run again")
    if "unable to lock file" in said:  # HDF5
        return ResourceError(f"another program has the file open for writing ({reason}); close it, then run again")
    if "can't start new thread" in said or number == errno.EAGAIN:
        return ResourceError(
            f"no more threads or processes can be started ({reason}); close other programs or raise the limit "
            "(ulimit -u), then run again"
        )
    return None


# What the owner of the files can fix; any other OSError is a bug, or the writer of a file says more.
_CLOSED = (
    errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO, errno.ESTALE
)  # fmt: skip


def closed_file_error(error: BaseException) -> UserError | None:
    """Translate the error of a file or folder that can't be opened; None for any other error."""
    if isinstance(error, OSError) and error.errno in _CLOSED and isinstance(error.filename, str | bytes):
        return UserError(
            f"{os.fsdecode(error.filename)}: cannot be opened ({error.strerror}); check the path and its permissions"
        )
    return None


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return `', did you mean "x"?'` for the closest known name, or an empty string.

    A name that differs only in upper and lower case or in its Unicode form is the closest. For the latter, which looks
    the same, the message names the form.
    """
    names: dict[str, str] = {}
    for name in known:
        names.setdefault(_folded(name), name)
    close = difflib.get_close_matches(_folded(found), names, n=1)
    if not close:
        return ""
    name = names[close[0]]
    if name != found and unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", found):
        form, other = ("NFC", "NFD") if unicodedata.is_normalized("NFC", name) else ("NFD", "NFC")
        return f", did you mean the same letters in Unicode form {form}? This is {other}, which only looks the same"
    return f', did you mean "{name}"?'


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


_ESCAPED = ("Cc", "Zl", "Zp")  # Unicode categories: control characters, separators of lines and paragraphs


def printable(text: str) -> str:
    """Return text that is safe to print: control characters and line ends are written as escapes.

    Names of files may hold any byte; those that are not UTF-8 become U+FFFD.
    """
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":  # half of a pair: what Python makes of a byte that is not UTF-8
        return "\ufffd"
    return character.encode("unicode_escape").decode() if category in _ESCAPED else character
