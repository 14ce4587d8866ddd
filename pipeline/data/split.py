"""Dataset manifests: the images and image-level labels of a split. They hold no box, by construction.

`prepare` writes them, every later stage reads them. Image paths are relative to `image_root`, which is relative to the
repository root.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.files import read_json, write_json

SPLITS = ("train", "val", "test")
_PREPARE = 'run "dvc repro prepare"'


@dataclass(frozen=True)
class SplitManifest:
    """One split: `images[i]` and `labels[i]` describe the same image.

    `upright`: pixels are turned as their EXIF orientation says; never where a dataset's boxes refer to stored pixels.

    Raises:
        DataError: an image id twice, a path that leaves the image root, labels of another image.
    """

    dataset: str
    split: str
    image_root: str
    images: tuple[ImageRecord, ...]
    labels: tuple[ImageLabels, ...]
    upright: bool = False

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for record, labels in zip(self.images, self.labels, strict=True):
            if record.image_id in seen:
                raise DataError(f'{self.dataset} {self.split}: image id "{record.image_id}" occurs twice')
            seen.add(record.image_id)
            path = PurePosixPath(record.path)
            if path.is_absolute() or ".." in path.parts:
                raise DataError(f'{self.dataset} {self.split}: path "{record.path}" leaves the image root')
            if labels.image_id != record.image_id:
                raise DataError(f'{self.dataset} {self.split}: labels of "{labels.image_id}" at "{record.image_id}"')

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Image ids in order."""
        return tuple(record.image_id for record in self.images)

    def image_path(self, index: int, root: Path) -> Path:
        """File of one image under the repository root."""
        return root / self.image_root / self.images[index].path

    def label_matrix(self, num_hois: int) -> NDArray[np.float32]:
        """Image-level labels as float32 [I, H] of zeros and ones."""
        return self.label_mask(num_hois).astype(np.float32)

    def label_mask(self, num_hois: int) -> NDArray[np.bool_]:
        """Image-level labels as bool [I, H]."""
        matrix = np.zeros((len(self), num_hois), np.bool_)
        for row, labels in enumerate(self.labels):
            matrix[row, labels.hoi_ids] = 1
        return matrix


def write_split(path: Path, manifest: SplitManifest) -> None:
    """Write a split manifest atomically: one image per line."""
    images = [
        {**asdict(record), "hoi_ids": labels.hoi_ids.tolist()}
        for record, labels in zip(manifest.images, manifest.labels, strict=True)
    ]
    header = {"dataset": manifest.dataset, "split": manifest.split, "image_root": manifest.image_root}
    write_json(path, header | ({"upright": True} if manifest.upright else {}) | {"images": images})


def read_split(path: Path, vocabulary: Vocabulary) -> SplitManifest:
    """Read a split manifest.

    Raises:
        ArtifactError: missing, truncated, or without the expected keys.
        DataError: repeated images, unknown HOI ids, paths outside the image root.
    """
    data = read_json(path, remedy=_PREPARE)
    try:
        records = tuple(_record(row) for row in data["images"])
        labels = tuple(
            ImageLabels(row["image_id"], np.asarray(row["hoi_ids"], dtype=np.int64)) for row in data["images"]
        )
        header = {name: data[name] for name in ("dataset", "split", "image_root")}
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: not a split manifest ({error!r} missing or wrong); {_PREPARE}") from None
    for entry in labels:
        unknown = entry.hoi_ids[(entry.hoi_ids < 0) | (entry.hoi_ids >= vocabulary.num_hois)]
        if len(unknown):
            raise DataError(
                f'{path}: image "{entry.image_id}" has HOI id {unknown[0]}; expected 0 to {vocabulary.num_hois - 1}'
            )
    return SplitManifest(images=records, labels=labels, upright=bool(data.get("upright")), **header)


def _record(row: dict[str, Any]) -> ImageRecord:
    return ImageRecord(**{name: row[name] for name in ("image_id", "path", "width", "height", "sha256")})
