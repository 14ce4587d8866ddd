"""Atomic writes and digests: a file appears under its final name whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.core.errors import ArtifactError, resource_error

_CHUNK = 1 << 20


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `final`; on success rename it there, on failure remove it.

    Works for files and folders; a folder replaces an older one.

    Raises:
        ArtifactError: the disk is full, read-only or closed to the user. Errors that name other files pass through.
    """
    temporary = _temporary(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        yield temporary
        _put(temporary, final)
    except OSError as error:
        if not _concerns(error, temporary, final):
            raise
        raise ArtifactError(
            f"{final}: cannot be written ({error.strerror or error}); free space or permissions, then run again"
        ) from error
    finally:
        with suppress(OSError):  # of a disk that has become read-only: the error above says it already
            _remove(temporary)


def _temporary(final: Path, suffix: str = "") -> Path:
    return final.with_name(f".{final.name}.{os.getpid()}{suffix}.tmp")


def _put(temporary: Path, final: Path) -> None:
    """Rename into place. An older folder is moved aside first: removing takes a while, and a kill must not halve it."""
    if not temporary.is_dir() or not final.exists():
        temporary.replace(final)
        return
    old = _temporary(final, ".old")
    _remove(old)
    final.replace(old)
    temporary.replace(final)
    _remove(old)


def _concerns(error: OSError, temporary: Path, final: Path) -> bool:
    """Whether an error is of writing here, not of another file that was read meanwhile."""
    if not isinstance(error.filename, str):
        return True
    named = Path(error.filename).absolute()
    return named.is_relative_to(temporary.absolute()) or final.absolute().is_relative_to(named)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(final: Path) -> None:
    """Remove temporaries of `final` whose process was killed, so that none is ever taken for part of a folder.

    It lists the folder: for artifacts, not for each of many files.
    """
    name = re.compile(rf"\.{re.escape(final.name)}\.(\d+)(\.old)?\.tmp")
    for path in final.parent.iterdir() if final.parent.is_dir() else ():
        if (found := name.fullmatch(path.name)) and not _is_alive(int(found[1])):
            _remove(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""
    remove_leftovers(path)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically: one-space indent, keys in the order given, so that equal data gives equal bytes."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, *, remedy: str) -> Any:
    """Read JSON.

    Raises:
        ArtifactError: missing, or not JSON (truncated); `remedy` says what to do.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; {remedy}") from None
    except OSError as error:
        raise resource_error(error) or ArtifactError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, numbers or nesting without end
        raise ArtifactError(f"{path}: not JSON ({error}); {remedy}") from None


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's relative names and contents in name order."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                digest.update(file.relative_to(path).as_posix().encode() + b"\0")
                digest.update(bytes.fromhex(sha256_of(file)))
        return digest.hexdigest()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
