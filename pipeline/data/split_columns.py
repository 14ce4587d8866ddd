"""Images and image-level labels of a large split as columns (HDF5), read by ranges.

Columns: `image_id` and `path` as UTF-8 bytes, `size` (width, height) int64 [I, 2], `sha256` uint8 [I, 32], and labels:
`offsets` int64 [I + 1] cut `hoi_ids` int64 [L].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Form
from pipeline.core.errors import DataError
from pipeline.core.label_rows import LabelRows
from pipeline.core.texts import Texts
from pipeline.core.types import ImageLabels, ImageRecord, IntArray
from pipeline.store.hdf5_file import encode_strings, open_columns, open_hdf5, write_hdf5
from pipeline.store.ragged import Table, reading

_ROWS_PER_CHUNK = 8192
_AT_ONCE = 4096  # images, where all are looked at
_FORMS = {
    "image_id": Form(np.bytes_, ("I",)),
    "path": Form(np.bytes_, ("I",)),
    "size": Form(np.int64, ("I", 2)),
    "sha256": Form(np.uint8, ("I", 32)),
    "offsets": Form(np.int64, ("I + 1",), cuts="L"),
    "hoi_ids": Form(np.int64, ("L",)),
}
_WHAT = "no columns of a split"
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class StoredSequence(Sequence[Item], Generic[Item]):
    """What `make` makes of the columns of a range of images: as a tuple of all, but none is kept."""

    table: Table
    make: Callable[[dict[str, NDArray[Any]]], list[Item]]

    def __len__(self) -> int:
        return self.table.images

    @overload
    def __getitem__(self, row: int) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Item, ...]: ...
    def __getitem__(self, row: int | slice) -> Item | tuple[Item, ...]:
        if isinstance(row, slice):
            chosen = range(len(self))[row]
            return tuple(self[index] for index in chosen) if chosen.step != 1 else tuple(self._of(chosen))
        return self._of(range(len(self))[row : row + 1 or None])[0]

    def __iter__(self) -> Iterator[Item]:
        for low in range(0, len(self), _AT_ONCE):
            yield from self._of(range(low, min(low + _AT_ONCE, len(self))))

    def _of(self, rows: range) -> list[Item]:
        return self.make(self.table.read(rows.start, max(rows.start, rows.stop)))


def write_columns(path: Path, images: Sequence[ImageRecord], labels: LabelRows) -> None:
    """Write the columns of a split atomically."""
    digests = np.frombuffer(bytes.fromhex("".join(record.sha256 for record in images)), np.uint8)
    columns = {
        "image_id": encode_strings([record.image_id for record in images]),
        "path": encode_strings([record.path for record in images]),
        "size": np.array([(record.width, record.height) for record in images], np.int64).reshape(-1, 2),
        "sha256": digests.reshape(-1, 32),
        "offsets": labels.offsets,
        "hoi_ids": labels.hoi_ids,
    }
    write_hdf5(path, columns, attributes={}, chunk_rows=_ROWS_PER_CHUNK)


@dataclass(frozen=True)
class SplitColumns:
    """The open columns of a split."""

    table: Table

    @classmethod
    def open(cls, path: Path, images: int, num_hois: int, remedy: str) -> SplitColumns:
        """Open the columns of so many images.

        Raises:
            ArtifactError: missing or damaged; of another number of images, or with ids of other classes.
        """
        with reading(path, _WHAT, remedy):
            with open_hdf5(path) as file:
                table = open_columns(path, file, _FORMS, images)
            hoi_ids = table.arrays["hoi_ids"][:]
            if len(hoi_ids) and not 0 <= hoi_ids.min() <= hoi_ids.max() < num_hois:
                raise DataError(f"HOI ids {hoi_ids.min()} to {hoi_ids.max()}, expected 0 to {num_hois - 1}")
        return cls(table)

    @property
    def images(self) -> Sequence[ImageRecord]:
        """Records."""
        return StoredSequence(self._of(("image_id", "path", "size", "sha256")), _records)

    @property
    def labels(self) -> Sequence[ImageLabels]:
        """Labels of each image."""
        return StoredSequence(self._of(("image_id", "offsets", "hoi_ids")), _labels)

    def _of(self, names: Sequence[str]) -> Table:
        """Some of the columns."""
        forms = {name: _FORMS[name] for name in names}
        return replace(
            self.table, forms=forms, offsets={name: self.table.offsets[name] for name in forms if forms[name].cuts}
        )


def image_ids_of(images: Sequence[ImageRecord]) -> Sequence[str]:
    """Ids of images, in order."""
    if isinstance(images, StoredSequence):
        return Texts(images.table.arrays["image_id"])
    return tuple(record.image_id for record in images)


def image_sizes_of(images: Sequence[ImageRecord]) -> IntArray:
    """Width and height of images in pixels, int64 [I, 2]."""
    if isinstance(images, StoredSequence):
        sizes: IntArray = images.table.arrays["size"][:]
        return sizes
    return np.array([(record.width, record.height) for record in images], np.int64).reshape(-1, 2)


def label_rows_of(labels: Sequence[ImageLabels], num_hois: int) -> LabelRows:
    """Labels of images as rows."""
    if isinstance(labels, StoredSequence):
        return LabelRows(labels.table.offsets["offsets"], labels.table.arrays["hoi_ids"][:], num_hois)
    return LabelRows.of_lists([found.hoi_ids for found in labels], num_hois)


def leaves_root(path: str) -> bool:
    """Whether a path is absolute or goes up."""
    return path.startswith("/") or ".." in path.split("/")


def _records(columns: dict[str, NDArray[Any]]) -> list[ImageRecord]:
    names = zip(columns["image_id"].tolist(), columns["path"].tolist(), strict=True)
    if up := next((path for path in columns["path"].tolist() if leaves_root(path.decode())), None):
        raise DataError(f'path "{up.decode()}" leaves the image root')
    rest = zip(columns["size"].tolist(), columns["sha256"], strict=True)
    return [
        ImageRecord(image_id.decode(), path.decode(), width, height, digest.tobytes().hex())
        for (image_id, path), ((width, height), digest) in zip(names, rest, strict=True)
    ]


def _labels(columns: dict[str, NDArray[Any]]) -> list[ImageLabels]:
    rows = np.split(columns["hoi_ids"], columns["offsets"][1:-1])
    return [ImageLabels(name.decode(), row) for name, row in zip(columns["image_id"].tolist(), rows, strict=False)]
