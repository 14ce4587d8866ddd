"""Dataset manifests: the images and image-level labels of a split. They hold no box, by construction.

`prepare` writes them, every later stage reads them. Image paths are relative to `image_root`, which is relative to the
repository root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pipeline.core.errors import ArtifactError, DataError, did_you_mean
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import ImageLabels, ImageRecord, IntArray, check_text
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.files import read_json, write_json
from pipeline.store.inputs import StageInputs
from pipeline.store.vocabulary_file import read_vocabulary

_PREPARE = 'run "dvc repro prepare"'
_HEADER, _OPTIONAL = ("dataset", "split", "image_root", "images"), ("upright", "label_source")
_RECORD = ("image_id", "path", "width", "height", "sha256")

ANNOTATED = "annotated"
LABEL_SOURCES = (ANNOTATED, "captions", "clip")


@dataclass(frozen=True)
class SplitManifest:
    """One split: `images[i]` and `labels[i]` describe the same image.

    `upright`: pixels are turned as their EXIF orientation says; never where a dataset's boxes refer to stored pixels.
    `label_source`: what the labels come from, one of `LABEL_SOURCES`; those of "clip" are an artifact, none is here.

    Raises:
        DataError: an image id twice, a path that leaves the image root, an image root that climbs out of the
            repository (an absolute one names a folder elsewhere openly), labels of another image.
    """

    dataset: str
    split: str
    image_root: str
    images: tuple[ImageRecord, ...]
    labels: tuple[ImageLabels, ...]
    upright: bool = False
    label_source: str = ANNOTATED

    def __post_init__(self) -> None:
        if ".." in PurePosixPath(self.image_root).parts:
            raise DataError(f'{self.dataset} {self.split}: image root "{self.image_root}" leaves the repository')
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

    @property
    def image_sizes(self) -> IntArray:
        """Width and height of each image in pixels, int64 [I, 2]."""
        return np.array([(record.width, record.height) for record in self.images], np.int64).reshape(-1, 2)

    def image_path(self, index: int, root: Path) -> Path:
        """File of one image under the repository root."""
        return root / self.image_root / self.images[index].path

    def label_rows(self, num_hois: int) -> LabelRows:
        """Image-level labels."""
        return LabelRows.of_lists([labels.hoi_ids for labels in self.labels], num_hois)


def write_split(path: Path, manifest: SplitManifest) -> None:
    """Write a split manifest atomically: one image per line."""
    images = [
        {**asdict(record), "hoi_ids": labels.hoi_ids.tolist()}
        for record, labels in zip(manifest.images, manifest.labels, strict=True)
    ]
    header: dict[str, Any] = {"dataset": manifest.dataset, "split": manifest.split, "image_root": manifest.image_root}
    if manifest.upright:
        header["upright"] = True
    if manifest.label_source != ANNOTATED:
        header["label_source"] = manifest.label_source
    write_json(path, header | {"images": images})


def read_split(path: Path, vocabulary: Vocabulary) -> SplitManifest:
    """Read a split manifest.

    Raises:
        ArtifactError: missing, truncated, with keys missing or too many (a box, for one), or of another split than the
            file is named after.
        DataError: repeated images, unknown HOI ids, paths outside the image root, values of another kind.
    """
    data = read_json(path, remedy=_PREPARE)
    _check_keys(path, data, "file", _HEADER, _OPTIONAL)
    if not isinstance(data["images"], list):
        kind = type(data["images"]).__name__
        raise ArtifactError(f"{path}: not a split manifest (images is a {kind}, expected a list); {_PREPARE}")
    for number, row in enumerate(data["images"]):
        _check_keys(path, row, f"image {number}", (*_RECORD, "hoi_ids"))
    try:
        manifest = _of_json(data, vocabulary)
    except DataError as error:
        raise DataError(f"{path}: {error}; mend it, or {_PREPARE}") from None
    if manifest.split != path.stem:
        raise ArtifactError(f'{path}: holds the split "{manifest.split}", expected "{path.stem}"; {_PREPARE}')
    return manifest


def take_split(inputs: StageInputs, split: str) -> tuple[Vocabulary, SplitManifest]:
    """Check and read what every stage after `prepare` starts from: the vocabulary and the manifest of a split.

    Raises:
        ArtifactError, DataError: as `StageInputs.take` and `read_split`.
    """
    layout = inputs.layout
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    return vocabulary, read_split(inputs.take(layout.split(split), "prepare"), vocabulary)


def _check_keys(path: Path, found: Any, where: str, required: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Refuse other keys, boxes above all: no stage that learns may read one."""
    if not isinstance(found, dict):
        raise ArtifactError(f"{path}: not a split manifest ({where} is a {type(found).__name__}); {_PREPARE}")
    missing = [name for name in required if name not in found]
    if missing:
        raise ArtifactError(f"{path}: not a split manifest ({where} has no {missing[0]}); {_PREPARE}")
    for name in found:
        if name not in (*required, *optional):
            boxes = " (supervision is image-level: boxes belong to the ground truth)" if "box" in name else ""
            raise ArtifactError(
                f'{path}: {where} has the unknown key "{name}"{did_you_mean(name, (*required, *optional))}{boxes}; '
                f"expected only {', '.join((*required, *optional))}: remove it, or {_PREPARE}"
            )


def _of_json(data: dict[str, Any], vocabulary: Vocabulary) -> SplitManifest:
    for name in ("dataset", "split", "image_root"):
        check_text(data[name], name)
    upright = data.get("upright", False)
    if not isinstance(upright, bool):
        raise DataError(f"upright is a {type(upright).__name__}; expected true or false")
    source = data.get("label_source", ANNOTATED)
    if source not in LABEL_SOURCES:
        raise DataError(f"label_source is {source!r}; expected one of {', '.join(LABEL_SOURCES)}")
    return SplitManifest(
        dataset=data["dataset"],
        split=data["split"],
        image_root=data["image_root"],
        images=tuple(ImageRecord(**{name: row[name] for name in _RECORD}) for row in data["images"]),
        labels=tuple(_labels(row, vocabulary) for row in data["images"]),
        upright=upright,
        label_source=source,
    )


def _labels(row: dict[str, Any], vocabulary: Vocabulary) -> ImageLabels:
    image_id, hoi_ids = row["image_id"], row["hoi_ids"]
    if not isinstance(hoi_ids, list) or any(type(hoi_id) is not int for hoi_id in hoi_ids):
        raise DataError(f'hoi_ids of image "{image_id}" are no list of whole numbers')
    for hoi_id in hoi_ids:
        if not 0 <= hoi_id < vocabulary.num_hois:
            number = hoi_id if abs(hoi_id) < 1 << 63 else "a huge number"
            raise DataError(f'image "{image_id}" has HOI id {number}; expected 0 to {vocabulary.num_hois - 1}')
    return ImageLabels(image_id, np.array(hoi_ids, np.int64))
