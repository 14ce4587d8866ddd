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


class ImageLookup:
    """Finds rows of a manifest; built once for many names."""

    def __init__(self, manifest: SplitManifest) -> None:
        self._manifest = manifest
        # Name to rows, the most exact names first; the first level that has a name is used.
        self._levels: tuple[defaultdict[str, list[int]], ...] = tuple(defaultdict(list) for _ in range(3))
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)
        for row, record in enumerate(manifest.images):
            for level, names in zip(self._levels, _names(record), strict=True):
                for name in names:
                    level[name].append(row)
            if number := re.search("[0-9]+$", _bare_id(record)):
                self._numbers[_without_zeros(number[0])].append(row)

    def row(self, name: str | int) -> int:
        """Return the row of one image.

        Raises:
            DataError: no image has that name, or several have.
        """
        text = str(name)
        rows = next((level[text] for level in self._levels if text in level), [])
        if not rows and text.isascii() and text.isdecimal():
            rows = self._numbers.get(_without_zeros(text), [])
        if len(rows) != 1:
            raise DataError(self._fault(text, rows))
        return rows[0]

    def _fault(self, name: str, rows: list[int]) -> str:
        manifest = self._manifest
        split = f"{manifest.dataset} {manifest.split}"
        if rows:
            first, second = (manifest.images[row].path for row in rows[:2])
            return f'image "{name}" may be {len(rows)} images of {split}, "{first}" or "{second}"; give the whole path'
        meant = did_you_mean(name, manifest.image_ids)
        line = f'image "{name[:80]}" is not among the {len(manifest)} of {split}{meant}; expected names of that split'
        return line + (f', like "{manifest.image_ids[0]}" with or without suffix' if len(manifest) else "")


def _names(record: ImageRecord) -> tuple[set[str], ...]:
    """Names of one image, the most exact first."""
    path = PurePosixPath(record.path)
    return (
        {record.image_id, record.path},
        {_bare_id(record), _bare_id(record) + path.suffix, path.with_suffix("").as_posix()},
        {path.name, path.stem},
    )


def _bare_id(record: ImageRecord) -> str:
    return record.image_id.removesuffix(PurePosixPath(record.path).suffix)


def _without_zeros(digits: str) -> str:
    return digits.lstrip("0") or "0"
