"""Proposals of a split: a frozen detector over all images, in resumable parts, categories mapped by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config.layout import Layout
from pipeline.config.sections import digest_of
from pipeline.core.boxes import clip_boxes, has_extent
from pipeline.core.device import open_device, place
from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.types import HalfArray, Proposals
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.images import open_split_image
from pipeline.data.split import SplitManifest, open_split
from pipeline.detection.batches import batches_of_one_size
from pipeline.detection.class_probabilities import CLASS_PROBABILITIES
from pipeline.detection.detectors import Detector, load_detector
from pipeline.detection.params import DetectParams
from pipeline.store.parts import Arrays, FinishedParts
from pipeline.store.ragged import Column, offsets_of
from pipeline.store.vocabulary_file import read_vocabulary


def category_map(categories: tuple[str, ...], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Object id of each detector label, int64 [L]; -1 where the vocabulary has no such category.

    Names are compared with spaces and underscores alike.

    Raises:
        DataError: the detector knows no human, or none of the other categories.
    """
    known = vocabulary.object_id_by_name
    mapped = np.array([known.get(name.replace("_", " "), -1) for name in categories], np.int64)
    missing = [name for name, index in known.items() if index not in mapped]
    if known[vocabulary.human.replace("_", " ")] not in mapped:
        raise DataError(f'detector knows no "{vocabulary.human}" among its {len(categories)} categories')
    if missing:
        names = [name.replace("_", " ") for name in categories]
        raise DataError(
            f"detector does not know {len(missing)} categories of the vocabulary: {', '.join(missing[:5])}"
            f"{did_you_mean(missing[0], names)}; rename them, or choose a detector that knows them "
            f"(this one's {len(names)} categories: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''})"
        )
    return mapped


@dataclass(frozen=True)
class DetectWork:
    """Proposals of every image of a split, as work that is cut into parts; the detector is on the device already.

    Raises:
        DataError: by `load`, an image is missing or cannot be decoded; when made, the detector does not know the
            vocabulary's categories.
    """

    detector: Detector
    manifest: SplitManifest
    vocabulary: Vocabulary
    params: DetectParams
    root: Path
    device: torch.device

    def __post_init__(self) -> None:
        self.mapping  # noqa: B018 - a detector that does not fit is refused before any image is read

    @cached_property
    def mapping(self) -> NDArray[np.int64]:
        """Object id of each detector label."""
        return category_map(self.detector.categories, self.vocabulary)

    @cached_property
    def digest(self) -> str:
        """Names params, weights, images, and the categories of both sides."""
        return digest_of(
            {
                "params": digest_of(self.params),
                "weights": self.detector.digest,
                "images": [[record.path, record.sha256] for record in self.manifest.images],
                "categories": list(self.detector.categories),
                "objects": list(self.vocabulary.objects),
            }
        )

    @property
    def detector_name(self) -> str:
        """How a proposals file names the detector: builder and weights."""
        return f"{self.detector.name} {self.detector.digest}"

    @property
    def num_images(self) -> int:
        """Images of the split."""
        return len(self.manifest)

    @property
    def empty(self) -> Arrays:
        """Zero rows of counts, boxes, scores, object_ids, and class_probabilities where the detector gives them."""
        flat_int, flat = np.zeros(0, np.int64), np.zeros(0, np.float32)
        arrays: Arrays = {"counts": flat_int, "boxes": flat.reshape(0, 4), "scores": flat, "object_ids": flat_int}
        if self.detector.gives_class_probabilities:
            arrays["class_probabilities"] = np.zeros((0, self.vocabulary.num_objects), np.float16)
        return arrays

    def batches(self, start: int, stop: int) -> list[list[int]]:
        """Images start..stop in batches of one padded size."""
        sizes = [(record.width, record.height) for record in self.manifest.images[start:stop]]
        cut = batches_of_one_size(self.detector.model, sizes, self.params.batch_size)
        return [[start + row for row in rows] for rows in cut]

    def load(self, images: Sequence[int]) -> list[Tensor]:
        """Decode a batch to what `detect_tensors` takes."""
        opened = (open_split_image(self.manifest, index, self.root) for index in images)
        return [image_tensor(np.asarray(image), self.device) for image in opened]

    def run(self, images: Sequence[int], loaded: list[Tensor]) -> list[Arrays]:
        """Detect on a batch."""
        return [
            {"counts": np.array([len(found)], np.int64)}
            | {name: value for name, value in vars(found).items() if value is not None}
            for found in detect_tensors(self.detector, loaded, self.mapping, self.device)
        ]


@dataclass(frozen=True)
class DetectJob:
    """A detector over one split as paths and choices: what this process or a worker of a cluster is given to open."""

    layout: Layout
    split: str
    params: DetectParams
    device: str
    channels_last: bool

    @property
    def folder(self) -> Path:
        """Where its parts are kept."""
        return self.layout.work("detect", self.split)

    @property
    def part_size(self) -> int:
        """Images per part."""
        return self.params.part_size

    def open(self) -> DetectWork:
        """Read everything; raises UserError for a missing or damaged file, or a detector of other categories."""
        vocabulary = read_vocabulary(self.layout.vocabulary)
        manifest = open_split(self.layout, self.split, vocabulary)
        root = self.layout.root
        detector, device = load_detector(self.params, root=root), open_device(self.device)
        place(detector.model, device, channels_last=self.channels_last)
        return DetectWork(detector, manifest, vocabulary, self.params, root, device)


def proposal_columns(parts: FinishedParts) -> dict[str, Column]:
    """The columns of a proposals file, from parts of `DetectWork`."""
    offsets = offsets_of(parts.column("counts").read())
    return {"offsets": Column.of(offsets)} | {name: parts.column(name) for name in parts.empty if name != "counts"}


def count_humans(object_ids: Column, work: DetectWork) -> int:
    """Number of human proposals of the whole split.

    Raises:
        DataError: none, in no image.
    """
    manifest, vocabulary = work.manifest, work.vocabulary
    humans = sum(int((piece == vocabulary.human_object_id).sum()) for piece in object_ids.pieces())
    remedy = f"lower detect.score_threshold ({work.params.score_threshold}) or check the images"
    check_humans(humans, manifest, vocabulary, remedy)
    return humans


def check_humans(humans: int, manifest: SplitManifest, vocabulary: Vocabulary, remedy: str) -> None:
    """Refuse proposals without a human: nothing could be paired.

    Raises:
        DataError: none, in no image of the split.
    """
    if len(manifest) and not humans:
        raise DataError(
            f'{manifest.dataset} {manifest.split}: no "{vocabulary.human}" found in any of {len(manifest)} images; '
            f"{remedy}"
        )


def image_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """RGB pixels uint8 HWC to [3, H, W]: float32 in 0..1, or for CUDA uint8 in page-locked memory."""
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    return image.pin_memory() if device.type == "cuda" else image.float() / 255


def detect_tensors(
    detector: Detector, images: Sequence[Tensor], mapping: NDArray[np.int64], device: torch.device
) -> list[Proposals]:
    """Detect on one batch of images of `image_tensor`; the detector is on the device already.

    Args:
        mapping: object id of each detector label, from `category_map`; what is not in the vocabulary is left out.
    """
    moved = [image.to(device, non_blocking=True) for image in images]
    found = detector.detect([image if image.is_floating_point() else image.float() / 255 for image in moved])
    return [
        _keep_known(entry, mapping, width=image.shape[2], height=image.shape[1])
        for entry, image in zip(found, images, strict=True)
    ]


def _keep_known(found: dict[str, Tensor], mapping: NDArray[np.int64], *, width: int, height: int) -> Proposals:
    """One image's detections of known categories, clipped, by falling score; none without width or height."""
    object_ids = mapping[found["labels"].cpu().numpy()]
    scores = found["scores"].float().cpu().numpy()
    boxes = clip_boxes(found["boxes"].float().cpu().numpy(), width, height)
    order = np.argsort(-scores, kind="stable")
    order = order[(object_ids[order] >= 0) & has_extent(boxes[order])]
    rows = found.get(CLASS_PROBABILITIES)
    probabilities = None if rows is None else _of_categories(rows.float().cpu().numpy(), mapping)[order]
    return Proposals(boxes[order].astype(np.float32), scores[order], object_ids[order], probabilities)


def _of_categories(rows: NDArray[np.float32], mapping: NDArray[np.int64]) -> HalfArray:
    """Probabilities of labels [n, L] as those of the vocabulary's categories [n, C]; every category has a label."""
    known = np.flatnonzero(mapping >= 0)
    probabilities = np.zeros((len(rows), int(mapping.max()) + 1), np.float16)
    probabilities[:, mapping[known]] = rows[:, known]
    return probabilities
