"""What `prepare` asks of any dataset, and what the readers of downloaded ones share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError, ParamError
from pipeline.core.names import SPLITS
from pipeline.core.seeding import numpy_generator
from pipeline.core.types import ImageRecord, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.images import check_usable_size, open_image
from pipeline.data.split import SplitManifest
from pipeline.store.files import sha256_of
from pipeline.truth.annotated_images import AnnotatedImages
from pipeline.truth.ground_truth import GroundTruth, check_scored_boxes
from pipeline.truth.ground_truth_file import AnnotatedSplit
from pipeline.truth.params import PrepareParams
from pipeline.truth.vcoco_annotations import VCocoAnnotations

Advance = Callable[[], None]  # called after each image


@dataclass(frozen=True)
class PreparedSplit:
    """One split; `annotated` is None for training splits, whose boxes `prepare` never writes, and where there are none.

    `people` is what the V-COCO protocol scores against, for that dataset's official files only.
    """

    manifest: SplitManifest
    annotated: AnnotatedSplit | None
    people: VCocoAnnotations | None = None


class DatasetReader(Protocol):
    """A dataset's own reader: the class that its file assigns to `READER`."""

    def __init__(self, params: PrepareParams, *, dataset: str, root: Path) -> None:
        """Read the annotations.

        Args:
            dataset: name of the section of params.yaml, whose `prepare` is `params`.
            root: repository root.
        """

    @property
    def vocabulary(self) -> Vocabulary:
        """Verbs, object categories and HOI classes."""

    @property
    def num_images(self) -> int:
        """Number of images of all splits, for progress."""

    @property
    def inputs(self) -> Sequence[Path]:
        """Annotation files that the splits come from; their digests go into the manifest."""

    def read(self, drawn_images: Path, advance: Advance) -> list[PreparedSplit]:
        """Return all splits; a dataset that draws its images writes them under `drawn_images`, others a note."""


@dataclass(frozen=True)
class TrainingBoxes:
    """Annotated pairs of the training split, for training with boxes; `truth` is of the images `image_ids`, in order.

    No box is checked against its image: one that nothing matches labels nothing.
    """

    image_ids: tuple[str, ...]
    truth: GroundTruth


@runtime_checkable
class ReadsTrainingBoxes(Protocol):
    """What `label_pairs` asks of a reader beyond `DatasetReader`; a reader without it is for image-level labels."""

    def training_boxes(self) -> TrainingBoxes:
        """Return the pairs of the same training images as `read`, without opening an image."""


@runtime_checkable
class HasNotes(Protocol):
    """A reader that has something to say about its files, which `prepare` prints."""

    notes: Sequence[str]


@dataclass(frozen=True)
class SourceFolder:
    """The folder of a downloaded dataset: its `path` here, and how manifests spell it (`recorded`)."""

    path: Path
    recorded: str


def source_folder(params: PrepareParams, dataset: str, root: Path) -> SourceFolder:
    """Return the folder that `prepare.source` names; it is recorded relative to the root where it lies inside.

    Raises:
        ParamError: there is none.
    """
    if params.source is None:
        raise ParamError(f"{dataset}.prepare.source is null; expected the folder that holds the dataset")
    spelled = Path(os.path.normpath(params.source))
    if spelled.is_absolute() or ".." in spelled.parts:
        spelled = (root / params.source).resolve()
    return SourceFolder(root / spelled, spelled.as_posix())


def community_files(source: Path, names: Sequence[str]) -> list[Path]:
    """Where files of the community's form are or would be: in the folder annotations, as published, or in `source`."""
    inside = [source / "annotations" / name for name in names]
    return inside if all(path.is_file() for path in inside) else [source / name for name in names]


def note_source(drawn_images: Path, image_folder: str) -> None:
    """Leave a line for each split that says where a downloaded dataset's images are, which stay where they are."""
    for split in SPLITS:
        folder = drawn_images / split
        folder.mkdir(exist_ok=True)
        (folder / "SOURCE.txt").write_text(f"Images are read from {image_folder}; none are copied here.\n")


def hold_out(num_images: int, fraction: float, *, seed: int, dataset: str) -> tuple[IntArray, IntArray]:
    """Draw validation images out of the training images; return the rows of training and of val, both ascending."""
    order = numpy_generator(seed, dataset, "val").permutation(num_images)
    count = round(fraction * num_images)
    return np.sort(order[count:]), np.sort(order[:count])


def image_records(
    folder: Path,
    images: Sequence[tuple[str, str]],
    advance: Advance,
    *,
    sizes: IntArray | None = None,
    upright: bool = False,
    where: Sequence[str] | None = None,
    remedy: str = "",
) -> tuple[ImageRecord, ...]:
    """Open every image under a folder, and return the records that manifests keep, sha256 included.

    Args:
        images: id and path under the folder of each, [I].
        sizes: int64 [I, 2] width and height as annotated, None where the annotations have none.
        upright: turn images as their EXIF orientation says.
        where: lines of the file that lists the images, [I], for messages.
        remedy: what to do about unusable images.

    Raises:
        DataError: images are missing, cannot be decoded, or are of another size than annotated; counts all of them
            and tells the first.
    """
    records: list[ImageRecord] = []
    faults: list[str] = []
    for row, (image_id, path) in enumerate(images):
        file = folder / path
        try:
            size = open_image(file, upright=upright).size
            check_usable_size(file, size)
            annotated = size if sizes is None else tuple(sizes[row].tolist())
            if size != annotated:
                raise DataError(f"{file}: image is {size} pixels (width, height), the annotations say {annotated}")
            records.append(ImageRecord(image_id, path, *size, sha256=sha256_of(file)))
        except DataError as error:
            faults.append(f"{where[row]}: {error}" if where else str(error))
        advance()
    if faults:
        raise DataError(f"{len(faults)} of {len(images)} images are unusable{remedy}: {faults[0]}")
    return tuple(records)


def prepare_splits(
    splits: Mapping[str, AnnotatedImages],
    training: GroundTruth,
    source: SourceFolder,
    dataset: str,
    drawn_images: Path,
    advance: Advance,
    *,
    rare: NDArray[np.bool_] | None = None,
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
    image_folder: str = "images",
    people: Mapping[str, VCocoAnnotations] | None = None,
) -> list[PreparedSplit]:
    """Check all images, and the boxes of val and test, and return what `prepare` writes; train keeps no box.

    Args:
        splits: train, val and test; `filenames` are paths under `image_folder` of the source.
        drawn_images: where a note for each split says where the images are.
        training: all annotated training pairs, before val was held out; they are counted by HOI class.
        rare: the dataset's own list of rare classes, bool [H].
        groups: the dataset's own groups of classes, bool [H], in place of rare and other ones.
        people: of val and test, for the V-COCO protocol.

    Raises:
        DataError: unusable images, or boxes that nothing could match.
    """
    image_root = f"{source.recorded}/{image_folder}"
    note_source(drawn_images, image_root)
    for split in ("val", "test"):
        sizes = splits[split].sizes
        if sizes is not None:  # before the images are opened, which takes minutes
            check_scored_boxes(splits[split].truth, sizes, splits[split].filenames, str(source.path))
    instances = np.bincount(training.hoi_id, minlength=splits["train"].vocabulary.num_hois).astype(np.int64)
    prepared = []
    for split, images in splits.items():
        labels = images.image_labels()
        records = image_records(
            source.path / image_folder,
            [(entry.image_id, path) for entry, path in zip(labels, images.filenames, strict=True)],
            advance,
            sizes=images.sizes,
            remedy=", unpack their archive again",
        )
        manifest = SplitManifest(dataset, split, image_root, records, labels)
        if split == "train":
            prepared.append(PreparedSplit(manifest, None))
            continue
        check_scored_boxes(images.truth, manifest.image_sizes, images.filenames, str(source.path))
        annotated = AnnotatedSplit(images.truth, instances, rare, listed_groups=groups)
        prepared.append(PreparedSplit(manifest, annotated, (people or {}).get(split)))
    return prepared
