"""Two variants side by side on test images that a rule chooses (the paper's Fig. 3), with the parts of each score.

The rule: on each image with an annotated pair, a variant's balance is its number of right labels minus the wrong and
the missed ones, among each class's best-scored detections of the split (`selection.best_rows`). Shown are the images of
the largest gains of the one variant over the other, of its largest losses, and the middle ones of that ranking; ties go
by the order of the split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.images import open_split_image
from pipeline.data.split import SplitManifest
from pipeline.report.drawing import jpeg_bytes
from pipeline.report.selection import Findings, pairs_of_image
from pipeline.report.sheet import SheetImage, contact_sheet
from pipeline.truth.ground_truth import GroundTruth

_NUM_EXTREMES, _NUM_TYPICAL = 3, 2
_QUALITY = 70  # JPEG: the page embeds this one
_CAPTION = (
    f"The {_NUM_EXTREMES} test images where {{first}} gains most over {{second}}, the {_NUM_EXTREMES} where it loses "
    f"most, and the {_NUM_TYPICAL} in the middle, by the number of right minus wrong minus missed labels; ties in the "
    "order of the split. Of each HOI class its best-scored detections in the whole split are shown, as many as it has "
    "annotated pairs, for at most {pairs} pairs per image. Behind a class: the factors of its score that "
    "the variant uses, the detector's left out."
)


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


def compared(names: Iterable[str]) -> tuple[str, str | None]:
    """The variant whose classes are shown and the one that they are held against: ours and baseline where present."""
    names = list(names)
    first = "ours" if "ours" in names else names[-1]
    others = [name for name in ("baseline", *names) if name in names and name != first]
    return first, others[0] if others else None


def compared_images(first: Findings, second: Findings, truth: GroundTruth) -> dict[str, int]:
    """The images to show, by what they are; two variants' best findings of the same split."""
    gains = balances(first, truth) - balances(second, truth)
    return choose_images(gains, np.unique(truth.image_index).astype(np.int64))


def caption(first: str, second: str, pairs_per_image: int) -> str:
    """What the picture shows and by which rule, in words."""
    return _CAPTION.format(first=first, second=second, pairs=pairs_per_image)


def draw_comparison(
    variants: Sequence[tuple[str, Findings]],
    images: Mapping[str, int],
    truth: GroundTruth,
    manifest: SplitManifest,
    vocabulary: Vocabulary,
    *,
    pairs_per_image: int,
    root: Path,
) -> bytes:
    """Draw the chosen images, the second variant on the left of the first, as JPEG.

    Args:
        variants: the first and the second, with their best findings.
        images: as `compared_images` returns them.

    Raises:
        DataError: an image is missing or damaged.
    """
    tiles = []
    for kind, image in images.items():
        for name, findings in reversed(variants):
            pairs = pairs_of_image(findings, truth, vocabulary, image=image, pairs_per_image=pairs_per_image)
            heading = f"{kind}: {name}, {manifest.image_ids[image]}"
            picture = open_split_image(manifest, image, root)
            tiles.append(SheetImage(heading, picture, pairs, show_factors=True))
    (first, _), (second, _) = variants
    title = f"{second} and {first} on {manifest.dataset} {manifest.split}"
    sheet = contact_sheet(tiles, title=title, caption=caption(first, second, pairs_per_image))
    return jpeg_bytes(sheet, _QUALITY)
