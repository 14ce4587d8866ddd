"""Contact sheets of variants: their best detections on an even sample of the test images."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from pipeline.data.images import open_split_image
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.report.params import ReportParams
from pipeline.report.selection import Findings, pairs_of_image, sample_indices
from pipeline.report.sheet import SheetImage, contact_sheet

_CAPTION = (
    "{shown} of {total:,} images: the middle one of each of {shown} equal stretches of the {split} split, whatever the "
    "result. Of each HOI class its best-scored detections in the whole split are shown, as many as the class has "
    "annotated pairs there, for at most {pairs} pairs per image. Right and wrong as in the evaluation: both IoU at "
    "least 0.5, and an annotated pair counts once."
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
    manifest, vocabulary, images = split.manifest, split.vocabulary, []
    for image in sample_indices(len(manifest), report.num_images).tolist():
        limit = report.pairs_per_image
        pairs = pairs_of_image(best, split.annotated.truth, vocabulary, image=image, pairs_per_image=limit)
        picture = open_split_image(manifest, image, split.inputs.layout.root)
        images.append(SheetImage(manifest.image_ids[image], picture, pairs))
        done(1)
    caption = _CAPTION.format(
        shown=len(images), total=len(manifest), split=manifest.split, pairs=report.pairs_per_image
    )
    return contact_sheet(images, title=f"{name} on {manifest.dataset} {manifest.split}", caption=caption)
