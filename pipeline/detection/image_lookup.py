"""Find the image of a split that detections of others name, as scripts, detectors and COCO write names.

An image is found by its id or path, by these without suffix, by its file's name alone, or by the number that its id
ends with (COCO's id of a V-COCO image). A name that fits two images is refused, never guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.types import ImageRecord
from pipeline.data.split import SplitManifest

_LEVELS, _NUMBERS = range(3), 3  # of names: the first that has a name is used


class ImageLookup:
    """Finds rows of a manifest; built once for many names."""

    def __init__(self, manifest: SplitManifest) -> None:
        self._manifest = manifest
        self._tables: dict[int, _Table] = {}

    def row(self, name: str | int) -> int:
        """Return the row of one image.

        Raises:
            DataError: no image has that name, or several have.
        """
        text = str(name)
        rows = next((found for level in _LEVELS if (found := self._table(level).rows(text))), [])
        if not rows and text.isascii() and text.isdecimal():
            rows = self._table(_NUMBERS).rows(_without_zeros(text))
        if len(rows) != 1:
            raise DataError(self._fault(text, rows))
        return rows[0]

    def _table(self, level: int) -> _Table:
        """Rows by the names of one level; most files need the first alone, and all would take memory."""
        if level not in self._tables:
            self._tables[level] = _Table()
            for row, record in enumerate(self._manifest.images):
                self._tables[level].add(_names(record, level), row)
        return self._tables[level]

    def _fault(self, name: str, rows: list[int]) -> str:
        manifest = self._manifest
        split = f"{manifest.dataset} {manifest.split}"
        if rows:
            first, second = (manifest.images[row].path for row in rows[:2])
            return f'image "{name}" may be {len(rows)} images of {split}, "{first}" or "{second}"; give the whole path'
        meant = did_you_mean(name, manifest.image_ids)
        line = f'image "{name[:80]}" is not among the {len(manifest)} of {split}{meant}; expected names of that split'
        return line + (f', like "{manifest.image_ids[0]}" with or without suffix' if len(manifest) else "")


class _Table:
    """Rows by name; a list is made only of names that several images have."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._others: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, names: set[str], row: int) -> None:
        for name in names:
            if self._first.setdefault(name, row) != row:
                self._others[name].append(row)

    def rows(self, name: str) -> list[int]:
        return [self._first[name], *self._others.get(name, [])] if name in self._first else []


def _names(record: ImageRecord, level: int) -> set[str]:
    """Names of one image, the most exact at level 0."""
    if level == 0:
        return {record.image_id, record.path}
    path, bare = PurePosixPath(record.path), _bare_id(record)
    if level == 1:
        return {bare, bare + path.suffix, path.with_suffix("").as_posix()}
    if level == _NUMBERS:
        number = re.search("[0-9]+$", bare)
        return {_without_zeros(number[0])} if number else set()
    return {path.name, path.stem}


def _bare_id(record: ImageRecord) -> str:
    return record.image_id.removesuffix(PurePosixPath(record.path).suffix)


def _without_zeros(digits: str) -> str:
    return digits.lstrip("0") or "0"
