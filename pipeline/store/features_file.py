"""Stored features: what a frozen encoder makes of each image of a split, in sharded zarr v3.

`features` [I, V, F], float16 or float32: the tensors of an image, flat, one after the other; where V is 2, those of its
mirror image follow. Attributes: `images` (ids, with the first digits of their sha256), `encoder` (what made them, by
name), and `shapes` of the tensors. Chunks are one image each and not compressed, as features hardly get smaller; so an
image is read at its place in a shard's file, which takes a hundredth of the time that zarr takes for one chunk.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.core.arrays import Form, check_forms
from pipeline.core.types import ImageRecord
from pipeline.store.ragged import Column, check_made_for, reading
from pipeline.store.zarr_files import SHARD_CHUNKS, open_whole_array, write_zarr

Shapes = tuple[tuple[int, ...], ...]
FEATURES = "features"  # name of the array
_WHAT = "not stored features"
_FORM = Form(np.floating, ("I", "V", "F"))
_DIGITS = 12  # of the sha256 of an image
_ENTRY = np.dtype([("offset", "<u8"), ("bytes", "<u8")])  # of a chunk in a shard's index, which a CRC32C follows
_CHECKSUM = 4  # bytes


def write_features(
    path: Path, features: Column, *, images: Sequence[ImageRecord], encoder: Mapping[str, str], shapes: Shapes
) -> None:
    """Write the file atomically, some images in memory at a time.

    Args:
        features: [I, V, F].
    """
    attributes = {"images": list(_names(images)), "encoder": dict(encoder), "shapes": [list(shape) for shape in shapes]}
    write_zarr(path, {FEATURES: features}, attributes=attributes, chunk_rows=1, compressed=False)


def _names(images: Sequence[ImageRecord]) -> tuple[str, ...]:
    return tuple(f"{record.image_id} {record.sha256[:_DIGITS]}" for record in images)


@dataclass(frozen=True)
class SplitFeatures:
    """Stored features of a split, open; any process may read them.

    Attributes:
        path: of the file.
        shards: files of the images, in order.
        offsets: int64 [I], place of each image in its shard.
        shape: V and F.
        dtype: on disk.
        shapes: of one image's tensors.
        remedy: what makes the file again.
    """

    path: Path
    shards: tuple[Path, ...]
    offsets: NDArray[np.int64]
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    shapes: Shapes
    remedy: str

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def mirrored(self) -> bool:
        """Whether features of mirror images are kept too."""
        return self.shape[0] == 2

    def image(self, index: int) -> NDArray[Any]:
        """Features [V, F] of one image.

        Raises:
            ArtifactError: damaged since the file was opened.
        """
        values = np.empty(self.shape, self.dtype)
        with reading(self.path, _WHAT, self.remedy), self.shards[index // SHARD_CHUNKS].open("rb", buffering=0) as file:
            file.seek(int(self.offsets[index]))
            if file.readinto(values.data) != values.nbytes:
                raise ValueError(f"{file.name} is too short")
        return values


def open_features(
    path: Path, *, images: Sequence[ImageRecord], encoder: Mapping[str, str], remedy: str
) -> SplitFeatures:
    """Open the file and find every image in it.

    Raises:
        ArtifactError: missing or damaged; of other images, or by another encoder; `remedy` says what makes it.
    """
    with reading(path, _WHAT, remedy):
        group = zarr.open_group(path, mode="r", zarr_format=3)
        attributes: dict[str, Any] = dict(group.attrs)
        names, made_by = tuple(attributes["images"]), dict(attributes["encoder"])
        array = open_whole_array(path, group, FEATURES)
        sizes = check_forms({FEATURES: array}, {FEATURES: _FORM}, {"I": len(names)})
        shape = sizes["V"], sizes["F"]
        shards = tuple(
            path / FEATURES / array.metadata.encode_chunk_key((row, 0, 0)) for row in range(_shards(len(names)))
        )
        found = SplitFeatures(
            path=path,
            shards=shards,
            offsets=_offsets(shards, len(names), math.prod(shape) * array.dtype.itemsize),
            shape=shape,
            dtype=array.dtype,
            shapes=tuple(tuple(shape) for shape in attributes["shapes"]),
            remedy=remedy,
        )
        if sum(map(math.prod, found.shapes)) != shape[1]:
            raise ValueError(f"{shape[1]} values of an image, but shapes {found.shapes}")
    for name in dict.fromkeys([*encoder, *made_by]):
        check_made_for(path, f"encoder's {name}", made_by.get(name, "none"), encoder.get(name, "none"), remedy)
    check_made_for(path, "images", names, _names(images), remedy)
    return found


def _shards(images: int) -> int:
    return -(-images // SHARD_CHUNKS)


def _offsets(shards: Sequence[Path], images: int, size: int) -> NDArray[np.int64]:
    """Place of each image in its shard, int64 [I], from the index at the end of each: offset and bytes of every chunk.

    Raises:
        ValueError: a chunk of another size, or outside of its file.
    """
    chunks = min(images, SHARD_CHUNKS)
    rows: list[NDArray[np.uint64]] = []
    for shard in shards:
        with shard.open("rb") as file:
            end = file.seek(-chunks * _ENTRY.itemsize - _CHECKSUM, os.SEEK_END)
            index = np.frombuffer(file.read(chunks * _ENTRY.itemsize), _ENTRY)[: images - SHARD_CHUNKS * len(rows)]
        if (index["bytes"] != size).any() or (index["offset"] > end - size).any():
            raise ValueError(f"{shard.name} is damaged, or holds other chunks than of {size} bytes")
        rows.append(index["offset"])
    return np.concatenate([np.zeros(0, np.uint64), *rows]).astype(np.int64)
