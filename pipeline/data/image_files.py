"""Which image files a user means: single files, folders and patterns, to a list of paths. Nothing is opened here."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.core.errors import DataError, did_you_mean
from pipeline.store.files import names_below

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"
)  # fmt: skip
# Cannot be read, but are found: opening one gives an error, where leaving it out would be silent.
_UNREADABLE_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".jp2")
_SUFFIXES = frozenset([*IMAGE_SUFFIXES, *_UNREADABLE_SUFFIXES])


def image_names(folder: Path) -> list[str]:
    """Image files as of `images_in` in a folder and its sub-folders, as paths relative to it, in no order.

    Raises:
        OSError: the folder, or one below, cannot be read.
    """
    found = []
    for place, names in names_below(folder):
        parts = place.relative_to(folder).parts
        if not any(part.startswith(".") for part in parts):
            inside = "".join(f"{part}/" for part in parts)
            found += [inside + name for name in names if _has_suffix(name) and not name.startswith(".")]
    return found


def images_in(folder: Path) -> list[Path]:
    """Image files of a folder by suffix, in name order, hidden ones left out.

    Broken links, pipes and kinds of image that cannot be read are among them; opening them gives the error.

    Raises:
        OSError: the folder cannot be read.
    """
    found = (path for path in folder.iterdir() if _has_suffix(path.name) and not path.name.startswith("."))
    return sorted(path for path in found if not path.is_dir())


def _has_suffix(name: str) -> bool:
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and dot + suffix.lower() in _SUFFIXES


def as_utf8(text: str) -> str:
    """Text that can be written as UTF-8: bytes of file names that are not become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def find_images(arguments: Sequence[str]) -> list[Path]:
    """Expand what a user named, in the order given, each file once.

    A file is taken whatever its name; a folder stands for the image files directly in it; anything else is a glob
    pattern (`**` for sub-folders) and stands for the image files that match.

    Raises:
        DataError: something is not there, cannot be read, or holds no image; all such arguments are named.
    """
    found: dict[str, Path] = {}
    faults: list[str] = []
    for argument in arguments:
        try:
            images = list(_expanded(argument))
        except OSError as error:
            faults.append(f"{argument}: cannot be read ({error.strerror}); check its permissions")
            continue
        if not images:
            faults.append(_fault(argument))
        for path in images:
            found.setdefault(os.path.realpath(path), path)  # Path.resolve raises for a link to itself
    if faults:
        raise DataError("; ".join(faults))
    return list(found.values())


def _expanded(argument: str) -> Iterable[Path]:
    path = Path(argument)
    if _is_folder(path):
        return images_in(path)
    if os.path.lexists(path):
        return [path]
    # Path.glob refuses absolute patterns.
    matches = (Path(match) for match in sorted(glob.glob(argument, recursive=True)))  # noqa: PTH207
    return [match for match in matches if not _is_folder(match) and _has_suffix(match.name)]


def _is_folder(path: Path) -> bool:
    """As `Path.is_dir`, which raises for what is longer than a file's name may be; a pattern may be."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _fault(argument: str) -> str:
    known, path = ", ".join(IMAGE_SUFFIXES), Path(argument)
    if _is_folder(path):
        return f"{argument}: no image file directly in this folder ({known}); for sub-folders give {argument}/**/*.jpg"
    if glob.has_magic(argument):
        return f"{argument}: the pattern matches no image file ({known})"
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"{argument}: {error.strerror}; check the path"
    names = [entry.name for entry in path.parent.iterdir()] if os.access(path.parent, os.R_OK) else []
    return f"{argument}: no such file or folder{did_you_mean(path.name, names)}; check the path"
