"""Atomic writes and digests: a file appears under its final name whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.core.errors import ArtifactError, ResourceError, resource_error

_CHUNK = 1 << 20
_NAME_BYTES = 200  # of 255 that a file's name may have on most systems; the rest is for what `_temporary` adds


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `final`; on success rename it there, on failure remove it.

    Works for files and folders; a folder replaces an older one.

    Raises:
        ArtifactError: the disk is full, read-only or closed to the user, or `final` is a pipe, a device or a link to
            an open file. Errors of other files pass through.
    """
    refuse_special(final)
    temporary = _temporary(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        yield temporary
        _put(temporary, final)
    except OSError as error:
        if not _concerns(error, temporary, final):
            raise
        raise unwritable(final, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):  # a disk that has become read-only: reported above
            _remove(temporary)


def check_space(path: Path, needed: int, what: str, remedy: str) -> None:
    """Refuse to start on files that would not fit on the disk of `path`, which need not exist yet.

    Args:
        needed: bytes.
        what: is to be written, for the message.

    Raises:
        ResourceError: says how much there is; `remedy` says what to do.
    """
    place = next(folder for folder in (path, *path.parents) if folder.exists())
    if (free := shutil.disk_usage(place).free) < needed:
        raise ResourceError(f"{path}: {what}: {needed / 1e6:,.1f} MB of disk, but {free / 1e6:,.1f} are free; {remedy}")


def is_stream(path: Path) -> bool:
    """Whether a path is a pipe or a device such as a terminal."""
    mode = _mode(path)
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _mode(path: Path) -> int:
    """Kind of what a path leads to, 0 where nothing can be found."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def refuse_special(final: Path) -> None:
    """Refuse to replace a pipe or a device, which would be gone for every process.

    Raises:
        ArtifactError: says what to give instead.
    """
    if not final.name:
        raise ArtifactError(f"{final}: a folder that holds others' files; name a new file or folder in it")
    mode, folder = _mode(final), final.parent.resolve()
    if not mode:
        return
    link_to_open_file = final.is_symlink() and (folder == Path("/dev") or folder.is_relative_to("/proc"))
    if link_to_open_file or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ArtifactError(
            f"{final}: a pipe, a device or a link to an open file, which cannot be replaced; give the path of a file"
        )


def unwritable(final: Path, reason: str) -> ArtifactError:
    """The error of a target that cannot be written."""
    return ArtifactError(f"{final}: cannot be written ({reason}); free space or permissions, then run again")


def _temporary(final: Path, suffix: str = "") -> Path:
    return final.with_name(f".{_stem(final)}.{os.getpid()}{suffix}.tmp")


def _stem(final: Path) -> str:
    """The file's name, cut if the temporary's name would be too long."""
    name = os.fsencode(final.name)
    return final.name if len(name) <= _NAME_BYTES else name[:_NAME_BYTES].decode("utf-8", "ignore")


def _put(temporary: Path, final: Path) -> None:
    """Rename into place. An older folder is moved aside first, since a kill while it is removed would leave a part."""
    if final.exists() and final.is_dir() != temporary.is_dir():
        found, expected = ("folder", "file") if final.is_dir() else ("file", "folder")
        raise ArtifactError(f"{final}: a {found}, where a {expected} is to be written; move it away")
    if not temporary.is_dir() or not final.exists():
        temporary.replace(final)
        return
    old = _temporary(final, ".old")
    _remove(old)
    final.replace(old)
    temporary.replace(final)
    _remove(old)


def _concerns(error: OSError, temporary: Path, final: Path) -> bool:
    """Whether an error is about writing `final`, not about another file that was read in the block."""
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
    """Remove temporaries of `final` whose process was killed. Lists the folder, so not for each of many files."""
    name = re.compile(rf"\.{re.escape(_stem(final))}\.(\d+)(\.old)?\.tmp")
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
    """Write bytes atomically; into a pipe or a device such as a terminal, as they are."""
    if is_stream(path):
        path.write_bytes(data)
        return
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


def refuse_links(folder: Path) -> None:
    """Refuse a folder that holds a link: its target may belong to someone else, and may change.

    A link into a DVC cache passes if the file there has the MD5 that its name says.

    Raises:
        ArtifactError: names the first.
    """
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_symlink() and not _is_cached_by_dvc(path.resolve()):
            raise ArtifactError(f"{path}: a link that leads elsewhere; expected plain files only, copy what it means")


def _is_cached_by_dvc(path: Path) -> bool:
    """Whether a file is named by its content, files/md5/<2 digits>/<30 digits>."""
    if path.parts[-4:-2] != ("files", "md5") or not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == path.parent.name + path.name


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's relative names and contents in name order.

    Raises:
        OSError: something cannot be read; no file of a folder is skipped.
        ArtifactError: a pipe or device, whose reading would not end.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(files_below(path)):
            if file.is_file():
                digest.update(file.relative_to(path).as_posix().encode() + b"\0")
                digest.update(bytes.fromhex(sha256_of(file)))
        return digest.hexdigest()
    if not stat.S_ISREG(path.stat().st_mode):
        raise ArtifactError(f"{path}: a pipe or device, expected a file; put the file in its place")
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and its sub-folders; errors as `names_below`."""
    return (place / name for place, names in names_below(folder) for name in names)


def names_below(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder and its sub-folders, each with the names of its files; links to folders are not followed.

    Raises:
        OSError: a folder cannot be read (`Path.rglob` skips it silently).
    """

    def fail(error: OSError) -> None:
        raise error

    return ((Path(place), names) for place, _, names in os.walk(folder, onerror=fail))
