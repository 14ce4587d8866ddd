"""Checks of output paths before the work, so that no result and no file of the user is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from pipeline.core.errors import ArtifactError, DataError
from pipeline.store.files import is_stream, read_json, refuse_special, unwritable


def check_target(final: Path) -> None:
    """Refuse a path that could not be written. Pipes and terminals pass.

    Raises:
        ArtifactError: as `atomic_path`, or the name is too long.
    """
    if is_stream(final):
        return
    refuse_special(final)
    try:
        final.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise unwritable(final, error.strerror or str(error)) from None
    folder = next(path for path in final.absolute().parents if path.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unwritable(final, f"{folder} is closed to you, or read-only")


def check_replaceable(final: Path, is_own: Callable[[Path], bool], *, what: str, option: str) -> None:
    """Refuse a path that could not be written, or that holds anything but an earlier output.

    Args:
        is_own: whether a file or folder is such an output.
        what: what such an output holds, e.g. "predictions".
        option: the option that names the path.

    Raises:
        DataError: the path holds something else.
        ArtifactError: as `check_target`.
    """
    check_target(final)
    if os.path.lexists(final) and not is_stream(final) and not is_own(final):
        raise DataError(
            f"{final}: is there already and holds no {what}; it is never overwritten: choose another path for "
            f"{option}, or move this one away"
        )


def check_json_target(final: Path, *own: Collection[str], what: str, option: str) -> None:
    """`check_replaceable` for JSON: an earlier output has all keys of one of the sets `own`."""
    check_replaceable(final, lambda path: any(_has_keys(path, keys) for keys in own), what=what, option=option)


def _has_keys(path: Path, keys: Collection[str]) -> bool:
    try:
        data = read_json(path, remedy="")
    except ArtifactError:
        return False
    return isinstance(data, dict) and set(keys) <= data.keys()
