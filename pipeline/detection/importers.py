"""Detections of others as proposals: images and categories are found by name, unusable detections are refused.

Boxes are continuous pixels of the original image. Categories that the vocabulary lacks are dropped and counted, as are
boxes without width or height.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import has_extent
from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.image_bounds import check_inside, check_pixels
from pipeline.core.types import IntArray, check_boxes
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.coco_categories import NUMBERINGS, object_ids_of
from pipeline.data.split import SplitManifest
from pipeline.detection.detection_forms import FlatDetections, read_detections
from pipeline.detection.own_weights import read_categories
from pipeline.store.files import sha256_of
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of

LABELS = ("vocabulary", *NUMBERINGS)


@dataclass(frozen=True)
class Imported:
    """Proposals, and how many boxes of each category were kept and dropped, the most frequent first."""

    proposals: SplitProposals
    kept: dict[str, int]
    dropped: dict[str, int]
    without_extent: int


def import_proposals(
    source: Path, manifest: SplitManifest, vocabulary: Vocabulary, *, labels: str, detector: str
) -> Imported:
    """Read detections of a split, by falling score within each image.

    Args:
        source: a COCO-results file, or a folder of per-image files.
        labels: what labels count: one of `LABELS`, or the path of a categories file.
        detector: what made them, in words; recorded with the file's digest.

    Raises:
        DataError: unreadable, another split's images, unknown labels; boxes that are inverted, clearly outside their
            image or in fractions of it; scores outside 0..1; no human, or nothing at all.
    """
    names = category_names(labels, vocabulary)
    found = read_detections(source, manifest)
    if len(manifest) and not len(found.scores):
        raise DataError(f"{source}: holds no detection; expected those of {manifest.dataset} {manifest.split}")
    _check_values(found, manifest, str(source))
    try:
        object_ids = object_ids_of(found.labels, names, vocabulary)
    except DataError as error:
        raise DataError(f"{source}: {error}; {_other_numberings(found.labels, vocabulary)}") from None
    if len(manifest) and not (object_ids == vocabulary.human_object_id).any():
        raise DataError(f"{source}: {_without_humans(found.labels, names, vocabulary, labels)}")
    whole = _proposals(found, object_ids, manifest, vocabulary, f"{detector} {sha256_of(source)}")
    proposals = whole.kept(has_extent(whole.boxes))
    kept, dropped = (_counts(found.labels[rows], names) for rows in (object_ids >= 0, object_ids < 0))
    return Imported(proposals, kept, dropped, len(whole.scores) - len(proposals.scores))


def category_names(labels: str, vocabulary: Vocabulary) -> Mapping[int, str]:
    """Return the category of each label, by the name of a numbering or the path of a categories file.

    Raises:
        DataError: neither.
    """
    if labels in LABELS:
        return dict(enumerate(vocabulary.objects)) if labels == "vocabulary" else NUMBERINGS[labels]
    if not Path(labels).is_file():
        raise DataError(
            f'--labels: "{labels}" is neither a file nor a numbering{did_you_mean(labels, LABELS)}; '
            f'expected one of {", ".join(LABELS)}, or a file {{"categories": [name of label 0, of label 1, ...]}}'
        )
    return dict(enumerate(read_categories(Path(labels))))


def _check_values(found: FlatDetections, manifest: SplitManifest, where: str) -> None:
    check_boxes(found.boxes.astype(np.float32), where)
    bad = found.scores[(found.scores < 0) | (found.scores > 1)]
    if len(bad):
        percent = "; divide percentages by 100" if found.scores.min() >= 0 and found.scores.max() <= 100 else ""
        raise DataError(f"{where}: score {bad[0]} is outside 0..1; expected probabilities{percent}")
    check_pixels(found.boxes, where)
    check_inside(found.boxes, manifest.image_sizes[found.image], where)


def _proposals(
    found: FlatDetections, object_ids: IntArray, manifest: SplitManifest, vocabulary: Vocabulary, detector: str
) -> SplitProposals:
    """Detections of known categories, clipped to their images, by falling score."""
    order = np.lexsort((-found.scores, found.image))
    order = order[object_ids[order] >= 0]
    image = found.image[order]
    boxes = np.clip(found.boxes[order], 0, np.tile(manifest.image_sizes[image], 2))
    return SplitProposals(
        image_ids=manifest.image_ids,
        objects=vocabulary.objects,
        detector=detector,
        offsets=offsets_of(np.bincount(image, minlength=len(manifest))),
        boxes=boxes.astype(np.float32),
        scores=found.scores[order].astype(np.float32),
        object_ids=object_ids[order],
    )


def _counts(labels: NDArray[np.int64], names: Mapping[int, str]) -> dict[str, int]:
    """How often each category occurs, the most frequent first."""
    distinct, counts = np.unique(labels, return_counts=True)
    return {names[int(distinct[row])]: int(counts[row]) for row in np.argsort(-counts, kind="stable")}


def _without_humans(labels: NDArray[np.int64], names: Mapping[int, str], vocabulary: Vocabulary, numbering: str) -> str:
    first = ", ".join(f'{label} is "{names[label]}"' for label in np.unique(labels)[:3].tolist())
    return (
        f'no "{vocabulary.human}" among {len(labels)} detections by --labels {numbering} ({first}); '
        f"{_other_numberings(labels, vocabulary)}"
    )


def _other_numberings(labels: NDArray[np.int64], vocabulary: Vocabulary) -> str:
    """What to do with labels that do not fit: one of the numberings by which there are humans is likely meant."""
    humans = {}
    for name in LABELS:
        try:
            ids = object_ids_of(labels, category_names(name, vocabulary), vocabulary)
        except DataError:
            continue  # a label that this numbering lacks
        humans[name] = int((ids == vocabulary.human_object_id).sum())
    found = ", ".join(f"--labels {name} finds {count} humans" for name, count in humans.items() if count)
    return found or "name the labels in a file for --labels"
