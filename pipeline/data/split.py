"""Dataset manifests: the images and image-level labels of a split. They hold no box, by construction.

`prepare` writes them, every later stage reads them. Image paths are relative to `image_root`, which is relative to the
repository root. A large split is a short JSON file, which git shows, and its images and labels are in columns beside
the dataset's other artifacts (`split_columns.py`); the JSON holds their number and the digest of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pipeline.config.layout import Layout
from pipeline.core import texts
from pipeline.core.errors import ArtifactError, DataError, did_you_mean
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import ImageLabels, ImageRecord, IntArray, check_text
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split_columns import (
    SplitColumns,
    StoredSequence,
    image_ids_of,
    image_sizes_of,
    label_rows_of,
    leaves_root,
    write_columns,
)
from pipeline.store.files import read_json, sha256_of, write_json
from pipeline.store.inputs import StageInputs
from pipeline.store.vocabulary_file import read_vocabulary

_PREPARE = 'run "dvc repro prepare"'
_HEADER, _OPTIONAL = ("dataset", "split", "image_root", "images"), ("upright", "label_source", "labels", "columns")
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
    images: Sequence[ImageRecord]
    labels: Sequence[ImageLabels]
    upright: bool = False
    label_source: str = ANNOTATED

    def __post_init__(self) -> None:
        if ".." in PurePosixPath(self.image_root).parts:
            raise DataError(f'{self.dataset} {self.split}: image root "{self.image_root}" leaves the repository')
        if isinstance(self.images, StoredSequence):  # checked before they were written
            return
        seen: set[str] = set()
        for record, labels in zip(self.images, self.labels, strict=True):
            if record.image_id in seen:
                raise DataError(f'{self.dataset} {self.split}: image id "{record.image_id}" occurs twice')
            seen.add(record.image_id)
            if leaves_root(record.path):
                raise DataError(f'{self.dataset} {self.split}: path "{record.path}" leaves the image root')
            if labels.image_id != record.image_id:
                raise DataError(f'{self.dataset} {self.split}: labels of "{labels.image_id}" at "{record.image_id}"')

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_ids(self) -> Sequence[str]:
        """Image ids in order."""
        return image_ids_of(self.images)

    @property
    def image_sizes(self) -> IntArray:
        """Width and height of each image in pixels, int64 [I, 2]."""
        return image_sizes_of(self.images)

    def image_path(self, index: int, root: Path) -> Path:
        """File of one image under the repository root."""
        return root / self.image_root / self.images[index].path

    def label_rows(self, num_hois: int) -> LabelRows:
        """Image-level labels."""
        return label_rows_of(self.labels, num_hois)


def write_split(path: Path, manifest: SplitManifest, columns: Path | None = None) -> list[Path]:
    """Write a split manifest atomically, one image per line; return what was written.

    Args:
        columns: where images and labels are written instead where there are more than `texts.MANY`; None: beside.
    """
    header: dict[str, Any] = {"dataset": manifest.dataset, "split": manifest.split, "image_root": manifest.image_root}
    if manifest.upright:
        header["upright"] = True
    if manifest.label_source != ANNOTATED:
        header["label_source"] = manifest.label_source
    if len(manifest) > texts.MANY:
        labels, columns = manifest.label_rows(0), columns or path.with_suffix(".h5")
        write_columns(columns, manifest.images, labels)
        counts = {"images": len(manifest), "labels": len(labels.hoi_ids)}
        write_json(path, header | counts | {"columns": sha256_of(columns)})
        return [path, columns]
    images = [
        {**asdict(record), "hoi_ids": found.hoi_ids.tolist()}
        for record, found in zip(manifest.images, manifest.labels, strict=True)
    ]
    write_json(path, header | {"images": images})
    return [path]


def open_split(layout: Layout, split: str, vocabulary: Vocabulary) -> SplitManifest:
    """Read the manifest of a split; errors as `read_split`."""
    return read_split(layout.split(split), vocabulary, layout.split_columns(split))


def read_split(path: Path, vocabulary: Vocabulary, columns: Path | None = None) -> SplitManifest:
    """Read a split manifest; images and labels in columns are read when they are asked for.

    Raises:
        ArtifactError: missing, truncated, with keys missing or too many (a box, for one), or of another split than the
            file is named after.
        DataError: repeated images, unknown HOI ids, paths outside the image root, values of another kind.
    """
    data = read_json(path, remedy=_PREPARE)
    _check_keys(path, data, "file", _HEADER, _OPTIONAL)
    stored = _stored(data, columns or path.with_suffix(".h5"), vocabulary) if "columns" in data else None
    if stored is None and not isinstance(data["images"], list):
        kind = type(data["images"]).__name__
        raise ArtifactError(f"{path}: not a split manifest (images is a {kind}, expected a list); {_PREPARE}")
    for number, row in enumerate([] if stored else data["images"]):
        _check_keys(path, row, f"image {number}", (*_RECORD, "hoi_ids"))
    try:
        manifest = _of_json(data, stored, vocabulary)
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
    inputs.take(layout.split(split), "prepare")
    inputs.take(layout.split_columns(split), "prepare")
    return vocabulary, open_split(layout, split, vocabulary)


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


def _stored(data: dict[str, Any], path: Path, vocabulary: Vocabulary) -> SplitColumns:
    """The columns that a manifest names by their digest."""
    found = sha256_of(path) if path.is_file() else data["columns"]  # a file that is missing is refused when opened
    if found != data["columns"]:
        raise ArtifactError(f"{path}: sha256 {found[:12]}, the manifest says {data['columns']!s:.12}; {_PREPARE}")
    return SplitColumns.open(path, data["images"], vocabulary.num_hois, _PREPARE)


def _of_json(data: dict[str, Any], stored: SplitColumns | None, vocabulary: Vocabulary) -> SplitManifest:
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
        images=stored.images if stored else tuple(map(_record, data["images"])),
        labels=stored.labels if stored else tuple(_labels(row, vocabulary) for row in data["images"]),
        upright=upright,
        label_source=source,
    )


def _record(row: dict[str, Any]) -> ImageRecord:
    return ImageRecord(**{name: row[name] for name in _RECORD})


def _labels(row: dict[str, Any], vocabulary: Vocabulary) -> ImageLabels:
    image_id, hoi_ids = row["image_id"], row["hoi_ids"]
    if not isinstance(hoi_ids, list) or any(type(hoi_id) is not int for hoi_id in hoi_ids):
        raise DataError(f'hoi_ids of image "{image_id}" are no list of whole numbers')
    for hoi_id in hoi_ids:
        if not 0 <= hoi_id < vocabulary.num_hois:
            number = hoi_id if abs(hoi_id) < 1 << 63 else "a huge number"
            raise DataError(f'image "{image_id}" has HOI id {number}; expected 0 to {vocabulary.num_hois - 1}')
    return ImageLabels(image_id, np.array(hoi_ids, np.int64))
