"""A downloaded split between annotation files and manifests: holding out, checking every image, taking boxes away.

I images, G pairs, H HOI classes. Image files are only read; nothing of a downloaded dataset is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.seeding import numpy_generator
from pipeline.core.types import ImageLabels, ImageRecord, IntArray
from pipeline.data.images import check_usable_size, open_image
from pipeline.data.split import SplitManifest
from pipeline.store.files import sha256_of
from pipeline.truth.ground_truth import GroundTruth


@dataclass(frozen=True)
class AnnotatedImages:
    """One split as annotated.

    `paths` [I] relative to the image root; `sizes` int64 [I, 2] width, height, None where the annotations have none;
    `labels` [I] image-level; `truth` the boxes, which only evaluation splits keep.
    """

    paths: tuple[str, ...]
    sizes: IntArray | None
    labels: tuple[ImageLabels, ...]
    truth: GroundTruth

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: IntArray) -> AnnotatedImages:
        """Return the images of some rows, ascending, with their pairs."""
        kept = np.isin(self.truth.image_index, rows)
        hois = self.truth.image_hois
        truth = GroundTruth(
            image_index=np.searchsorted(rows, self.truth.image_index[kept]).astype(np.int32),
            hoi_id=self.truth.hoi_id[kept],
            human_boxes=self.truth.human_boxes[kept],
            object_boxes=self.truth.object_boxes[kept],
            num_images=len(rows),
            image_hois=None if hois is None else hois[rows],
        )
        return replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            sizes=None if self.sizes is None else self.sizes[rows],
            labels=tuple(self.labels[row] for row in rows),
            truth=truth,
        )


def image_labels(truth: GroundTruth, filenames: Sequence[str], num_hois: int) -> tuple[ImageLabels, ...]:
    """HOI classes of each image without any box: from image-level labels where read, else from the pairs."""
    shown = truth.image_hois
    if shown is None:
        shown = np.zeros((truth.num_images, num_hois), dtype=np.bool_)
        shown[truth.image_index, truth.hoi_id] = True
    return tuple(
        ImageLabels(image_id=Path(name).stem, hoi_ids=np.flatnonzero(row))
        for name, row in zip(filenames, shown, strict=True)
    )


def hold_out(num_images: int, fraction: float, *, seed: int, dataset: str) -> tuple[IntArray, IntArray]:
    """Draw validation images out of the training images; return the rows of training and of val, both ascending."""
    order = numpy_generator(seed, dataset, "val").permutation(num_images)
    count = round(fraction * num_images)
    return np.sort(order[count:]), np.sort(order[:count])


def check_images(images: AnnotatedImages, folder: Path, advance: Callable[[], None]) -> tuple[ImageRecord, ...]:
    """Open every image under a folder, and return the records that the manifest keeps, sha256 included.

    Raises:
        DataError: images are missing, cannot be decoded, or are of another size than annotated; counts all of them
            and tells the first.
    """
    records: list[ImageRecord] = []
    faults: list[str] = []
    for row, path in enumerate(images.paths):
        file = folder / path
        try:
            size = open_image(file).size
            check_usable_size(file, size)
            annotated = size if images.sizes is None else tuple(images.sizes[row].tolist())
            if size != annotated:
                raise DataError(f"{file}: image is {size} pixels (width, height), the annotations say {annotated}")
            records.append(ImageRecord(images.labels[row].image_id, path, *size, sha256=sha256_of(file)))
        except DataError as error:
            faults.append(str(error))
        advance()
    if faults:
        raise DataError(f"{len(faults)} of {len(images)} images are unusable, unpack their archive again: {faults[0]}")
    return tuple(records)


def manifest_of(
    images: AnnotatedImages,
    *,
    dataset: str,
    split: str,
    source: Path,
    recorded_source: str,
    advance: Callable[[], None],
) -> SplitManifest:
    """Check every image of a split under `source`/images and return its manifest: image-level labels, never a box.

    Args:
        recorded_source: `source` as manifests spell it.

    Raises:
        DataError: as `check_images`.
    """
    return SplitManifest(
        dataset=dataset,
        split=split,
        image_root=f"{recorded_source}/images",
        images=check_images(images, source / "images", advance),
        labels=images.labels,
    )
