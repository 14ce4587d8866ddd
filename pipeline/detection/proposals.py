"""Proposals of a split: a frozen detector over all images, in resumable parts, categories mapped by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core.boxes import clip_boxes
from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.params import DetectParams, digest_of
from pipeline.core.types import Proposals
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.images import read_pixels
from pipeline.data.split import SplitManifest
from pipeline.detection.detectors import Detector
from pipeline.store.parts import Arrays, PartPlan, concatenate_parts, run_parts
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of

_EMPTY: Arrays = {
    "counts": np.zeros(0, np.int64),
    "boxes": np.zeros((0, 4), np.float32),
    "scores": np.zeros(0, np.float32),
    "object_ids": np.zeros(0, np.int64),
}


def category_map(categories: tuple[str, ...], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Object id of each detector label, int64 [L]; -1 where the vocabulary has no such category.

    Names are compared with spaces and underscores alike.

    Raises:
        DataError: the detector knows no human, or none of the other categories.
    """
    known = {name.replace("_", " "): index for index, name in enumerate(vocabulary.objects)}
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


def detect_split(
    detector: Detector,
    manifest: SplitManifest,
    vocabulary: Vocabulary,
    params: DetectParams,
    *,
    root: Path,
    work: Path,
    device: torch.device,
    done: Callable[[int], None],
) -> SplitProposals:
    """Detect on every image of a split; finished parts in `work` are not done again.

    `done` is told the number of images of each finished part.

    Raises:
        DataError: an image is missing or cannot be decoded, or no image shows a human.
    """
    mapping = category_map(detector.categories, vocabulary)
    digest = digest_of(
        {
            "params": digest_of(params),
            "weights": detector.digest,
            "images": [[record.path, record.sha256] for record in manifest.images],
            "objects": list(vocabulary.objects),
        }
    )
    detector.model.to(device)

    def compute(start: int, stop: int) -> Arrays:
        return _detect_range(detector, manifest, mapping, params, root, device, start, stop)

    plan = PartPlan(work, digest, len(manifest), params.part_size)
    joined = concatenate_parts(list(run_parts(plan, compute, done)), _EMPTY)
    if len(manifest) and not (joined["object_ids"] == vocabulary.human_object_id).any():
        raise DataError(
            f'{manifest.dataset} {manifest.split}: no "{vocabulary.human}" found in any of {len(manifest)} images; '
            f"lower detect.score_threshold ({params.score_threshold}) or check the images"
        )
    return SplitProposals(
        image_ids=manifest.image_ids,
        objects=vocabulary.objects,
        detector=f"{detector.name} {detector.digest}",
        offsets=offsets_of(joined["counts"].astype(np.int64)),
        boxes=joined["boxes"].astype(np.float32),
        scores=joined["scores"].astype(np.float32),
        object_ids=joined["object_ids"].astype(np.int64),
    )


def _detect_range(
    detector: Detector,
    manifest: SplitManifest,
    mapping: NDArray[np.int64],
    params: DetectParams,
    root: Path,
    device: torch.device,
    start: int,
    stop: int,
) -> Arrays:
    """Proposals of images start..stop, flat, with per-image counts."""
    rows: list[Arrays] = []
    for low in range(start, stop, params.batch_size):
        batch = range(low, min(low + params.batch_size, stop))
        for found in detect_images(detector, [_pixels(manifest, index, root) for index in batch], mapping, device):
            count = np.array([len(found)], np.int64)
            rows.append({"counts": count, "boxes": found.boxes, "scores": found.scores, "object_ids": found.object_ids})
    return concatenate_parts(rows, _EMPTY)


def _pixels(manifest: SplitManifest, index: int, root: Path) -> NDArray[np.uint8]:
    record = manifest.images[index]
    path = manifest.image_path(index, root)
    return read_pixels(path, upright=manifest.upright, record=record)


def detect_images(
    detector: Detector, images: Sequence[NDArray[np.uint8]], mapping: NDArray[np.int64], device: torch.device
) -> list[Proposals]:
    """Detect on one batch of images, uint8 HWC RGB; the detector is on the device already.

    Args:
        mapping: object id of each detector label, from `category_map`; what is not in the vocabulary is left out.
    """
    tensors = [torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 for pixels in images]
    found = detector.detect([tensor.to(device) for tensor in tensors])
    return [
        _keep_known(entry, mapping, width=pixels.shape[1], height=pixels.shape[0])
        for entry, pixels in zip(found, images, strict=True)
    ]


def _keep_known(found: dict[str, Tensor], mapping: NDArray[np.int64], *, width: int, height: int) -> Proposals:
    """One image's detections of known categories, clipped, by falling score."""
    object_ids = mapping[found["labels"].cpu().numpy()]
    scores = found["scores"].float().cpu().numpy()
    boxes = clip_boxes(found["boxes"].float().cpu().numpy(), width, height)
    order = np.argsort(-scores, kind="stable")
    order = order[object_ids[order] >= 0]
    return Proposals(boxes[order].astype(np.float32), scores[order], object_ids[order])
