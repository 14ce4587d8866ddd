"""Contact sheets of variants on test images: one on an even sample, two side by side where they differ (paper, Fig. 3).

Side by side, images are chosen by a rule. A variant's balance on an image with annotated pairs is its number of right
labels minus the wrong and the missed ones, among each class's best-scored detections of the split
(`selection.best_rows`). Shown are the largest gains of the first variant over the second, its largest losses, and the
middle of that ranking; the order of the split breaks ties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from PIL import Image

from pipeline.core.types import IntArray
from pipeline.data.images import open_split_image
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.report.drawing import jpeg_bytes
from pipeline.report.params import ReportParams
from pipeline.report.selection import Findings, pairs_of_image, sample_indices
from pipeline.report.sheet import SheetImage, contact_sheet
from pipeline.truth.ground_truth import GroundTruth

_NUM_EXTREMES, _NUM_TYPICAL = 3, 2
_QUALITY = 70  # JPEG: the page embeds this one
_CAPTION = (
    "{shown} of {total:,} images: the middle one of each of {shown} equal stretches of the {split} split, whatever the "
    "result. Of each HOI class its best-scored detections in the whole split are shown, as many as the class has "
    "annotated pairs there, for at most {pairs} pairs per image. Right and wrong as in the evaluation: both IoU at "
    "least 0.5, and an annotated pair counts once."
)
_COMPARISON_CAPTION = (
    f"The {_NUM_EXTREMES} test images where {{first}} gains most over {{second}}, the {_NUM_EXTREMES} where it loses "
    f"most, and the {_NUM_TYPICAL} in the middle, by the number of right minus wrong minus missed labels; ties in the "
    "order of the split. Of each HOI class its best-scored detections in the whole split are shown, as many as it has "
    "annotated pairs, for at most {pairs} pairs per image. Behind a class: the factors of its score that "
    "the variant uses, the detector's left out."
)


def draw_variant(
    name: str, best: Findings, split: ScoredSplit, report: ReportParams, done: Callable[[int], None]
) -> Image.Image:
    """Draw a variant's best detections on an even sample of the split; RGB.

    Args:
        best: of each class its best-scored detections, best first.
        done: called with 1 after each image.

    Raises:
        DataError: an image is missing or damaged.
    """
    manifest, images = split.manifest, []
    for image in sample_indices(len(manifest), report.num_images).tolist():
        images.append(_sheet_image(manifest.image_ids[image], best, split, image, report))
        done(1)
    caption = _CAPTION.format(
        shown=len(images), total=len(manifest), split=manifest.split, pairs=report.pairs_per_image
    )
    return contact_sheet(images, title=f"{name} on {manifest.dataset} {manifest.split}", caption=caption)


def draw_comparison(
    best: Mapping[str, Findings], split: ScoredSplit, report: ReportParams
) -> tuple[bytes, str, list[int]] | None:
    """Draw two variants on the images where they differ most, the second on the left of the first.

    Args:
        best: by variant, its best detections of the split, best first.

    Returns:
        The picture as JPEG, its caption, and the images on it as rows of the split; None for a single variant.

    Raises:
        DataError: an image is missing or damaged.
    """
    first, second = compared(best)
    if second is None:
        return None
    truth, manifest = split.annotated.truth, split.manifest
    gains = balances(best[first], truth) - balances(best[second], truth)
    images = choose_images(gains, np.unique(truth.image_index).astype(np.int64))
    tiles = [
        _sheet_image(f"{kind}: {name}, {manifest.image_ids[image]}", best[name], split, image, report, factors=True)
        for kind, image in images.items()
        for name in (second, first)
    ]
    caption = _COMPARISON_CAPTION.format(first=first, second=second, pairs=report.pairs_per_image)
    title = f"{second} and {first} on {manifest.dataset} {manifest.split}"
    return jpeg_bytes(contact_sheet(tiles, title=title, caption=caption), _QUALITY), caption, list(images.values())


def _sheet_image(
    heading: str, findings: Findings, split: ScoredSplit, image: int, report: ReportParams, *, factors: bool = False
) -> SheetImage:
    truth, vocabulary = split.annotated.truth, split.vocabulary
    pairs = pairs_of_image(findings, truth, vocabulary, image=image, pairs_per_image=report.pairs_per_image)
    picture = open_split_image(split.manifest, image, split.inputs.layout.root)
    return SheetImage(heading, picture, pairs, show_factors=factors)


def compared(names: Iterable[str]) -> tuple[str, str | None]:
    """The variant that the page shows first, and the one that it is compared with: ours and baseline where present."""
    names = list(names)
    first = "ours" if "ours" in names else names[-1]
    others = [name for name in ("baseline", *names) if name in names and name != first]
    return first, others[0] if others else None


def balances(findings: Findings, truth: GroundTruth) -> IntArray:
    """Right minus wrong minus missed labels of every image, int64 [I]."""
    images, hits = findings.detections.image_index, findings.hits
    right, wrong = (np.bincount(images[rows], minlength=truth.num_images) for rows in (hits, ~hits))
    annotated = np.bincount(truth.image_index, minlength=truth.num_images)
    return right - wrong - (annotated - right)


def choose_images(gains: IntArray, annotated: IntArray) -> dict[str, int]:
    """Images to show by what they are ("gain 1", "loss 1", "middle 1", ...); none twice, fewer where there are few.

    Args:
        gains: int64 [I].
        annotated: the images that may be chosen, ascending.
    """
    ranking = annotated[np.argsort(-gains[annotated], kind="stable")].tolist()
    rising = annotated[np.argsort(gains[annotated], kind="stable")].tolist()
    start = max(0, (len(ranking) - _NUM_TYPICAL) // 2)
    chosen: dict[str, int] = {}
    for kind, images, count in (
        ("gain", ranking, _NUM_EXTREMES),
        ("loss", rising, _NUM_EXTREMES),
        ("middle", ranking[start:], _NUM_TYPICAL),
    ):
        free = [image for image in images if image not in chosen.values()][:count]
        chosen |= {f"{kind} {number}": image for number, image in enumerate(free, 1)}
    return chosen
