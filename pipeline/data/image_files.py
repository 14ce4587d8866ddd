"""Which image files a user means: single files, folders and patterns, to a list of paths. Nothing is opened here."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.core.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def images_in(folder: Path, *, below: bool) -> list[Path]:
    """Image files of a folder by suffix, in name order, hidden ones left out; `below` includes its sub-folders.

    Broken links and pipes are among them: whoever opens them is told what they are.
    """
    found = folder.rglob("*") if below else folder.iterdir()
    return sorted(path for path in found if _is_image(path.relative_to(folder)) and not path.is_dir())


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in path.parts)


def printable(text: str) -> str:
    """Text that can be written as UTF-8: bytes of file names that are not become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def find_images(arguments: Sequence[str]) -> list[Path]:
    """Expand what a user named, in the order given, each file once.

    A file is taken whatever its name; a folder stands for the image files directly in it; anything else is a glob
    pattern (`**` for sub-folders) and stands for the image files that match.

    Raises:
        DataError: something is not there, or holds no image; all such arguments are named.
    """
    found: dict[str, Path] = {}
    faults: list[str] = []
    for argument in arguments:
        images = list(_expanded(argument))
        if not images:
            faults.append(_fault(argument))
        for path in images:
            found.setdefault(os.path.realpath(path), path)  # Path.resolve raises for a link to itself
    if faults:
        raise DataError("; ".join(faults))
    return list(found.values())


def _expanded(argument: str) -> Iterable[Path]:
    path = Path(argument)
    if path.is_dir():
        return images_in(path, below=False)
    if os.path.lexists(path):
        return [path]
    # Path.glob refuses absolute patterns.
    matches = (Path(match) for match in sorted(glob.glob(argument, recursive=True)))  # noqa: PTH207
    return [match for match in matches if not match.is_dir() and match.suffix.lower() in IMAGE_SUFFIXES]


def _fault(argument: str) -> str:
    known = ", ".join(IMAGE_SUFFIXES)
    if Path(argument).is_dir():
        return f"{argument}: no image file directly in this folder ({known}); for sub-folders give {argument}/**/*.jpg"
    if glob.has_magic(argument):
        return f"{argument}: the pattern matches no image file ({known})"
    return f"{argument}: no such file or folder; check the path"
