"""A split of a few small images on disk, with labels and proposals, for tests that go through bags."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.core.label_rows import LabelRows
from pipeline.core.types import FloatArray, ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset
from pipeline.data.split import SplitManifest
from pipeline.store.files import sha256_of
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of


def write_split_images(
    root: Path, vocabulary: Vocabulary, num_images: int, *, size=(64, 64), seed: int = 0
) -> SplitManifest:
    """Write images and return their manifest: hue and left-right pattern tell the HOI class of an image (i mod H)."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    records, labels = [], []
    for index in range(num_images):
        hoi_id = index % vocabulary.num_hois
        pixels = rng.integers(0, 60, (size[1], size[0], 3))
        pixels[:, :, hoi_id % 3] += 120
        pixels[:, : size[0] // 2] += 60 * (hoi_id // 3)
        path = root / "images" / f"{index}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        records.append(ImageRecord(f"image {index}", path.name, *size, sha256_of(path)))
        labels.append(ImageLabels(f"image {index}", np.array([hoi_id])))
    return SplitManifest("tiny", "train", "images", tuple(records), tuple(labels))


def random_proposals(
    manifest: SplitManifest, vocabulary: Vocabulary, counts: list[int], *, seed: int = 0
) -> SplitProposals:
    """Proposals of random boxes, by falling score; the first two of an image are a human and its class's object.

    The seed is that of boxes and scores: the categories, and with them the number of pairs, are always the same.
    """
    rng = np.random.default_rng(seed)
    rows = sum(counts)
    corner = rng.uniform(0, 40, (rows, 2))
    object_ids = np.random.default_rng(0).integers(0, vocabulary.num_objects, rows)
    offsets = offsets_of(np.array(counts))
    scores = np.concatenate([np.sort(rng.random(count))[::-1] for count in counts]) if counts else np.zeros(0)
    for first, count, labels in zip(offsets, counts, manifest.labels, strict=False):
        if count > 1:
            object_ids[first] = vocabulary.human_object_id
            object_ids[first + 1] = vocabulary.hoi_object_ids[labels.hoi_ids[0]]
    return SplitProposals(
        image_ids=manifest.image_ids,
        objects=vocabulary.objects,
        detector="random",
        offsets=offsets,
        boxes=np.concatenate([corner, corner + rng.uniform(6, 24, (rows, 2))], 1).astype(np.float32),
        scores=scores.astype(np.float32),
        object_ids=object_ids,
    )


def small_bags(
    root: Path, vocabulary: Vocabulary, counts: list[int], *, max_proposals: int = 10, seed: int = 0
) -> BagDataset:
    """Bags with the given numbers of proposals, their images written under `root`."""
    manifest = write_split_images(root, vocabulary, len(counts), seed=seed)
    return BagDataset(
        manifest=manifest,
        proposals=random_proposals(manifest, vocabulary, counts, seed=seed),
        labels=manifest.label_rows(vocabulary.num_hois),
        root=root,
        image_side=64,
        max_proposals=max_proposals,
    )


def with_damaged_labels(bags: BagDataset, image: int) -> BagDataset:
    """The same bags, but the labels of one image are not finite, which no file can hold."""
    damaged = copy.copy(bags)
    damaged.labels = _Damaged(bags.labels.offsets, bags.labels.hoi_ids, bags.labels.num_hois, image)
    return damaged


@dataclass(frozen=True)
class _Damaged(LabelRows):
    image: int

    def of_image(self, index: int) -> FloatArray:
        return super().of_image(index) * np.float32("nan" if index == self.image else 1)
