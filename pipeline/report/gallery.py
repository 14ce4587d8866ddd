"""The contact sheet of one variant, from its dump: fuse, evaluate, choose, open the images, draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.params import EvaluateParams, ReportParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.ground_truth_file import AnnotatedSplit
from pipeline.data.images import open_image
from pipeline.data.split import SplitManifest
from pipeline.evaluation.fusion import fuse
from pipeline.evaluation.hicodet import evaluate_hicodet
from pipeline.evaluation.summary import metrics
from pipeline.report.selection import best_rows, pairs_of_image, sample_indices
from pipeline.report.sheet import SheetImage, contact_sheet, jpeg_bytes, png_bytes, preview
from pipeline.store.dump import PredictionDump


@dataclass(frozen=True)
class VariantSheet:
    """A variant's sheet as PNG, JPEG and small preview, its caption, and the metrics of the same detections."""

    png: bytes
    jpeg: bytes
    preview: bytes
    caption: str
    metrics: dict[str, Any]


def draw_variant(
    name: str,
    dump: PredictionDump,
    annotated: AnnotatedSplit,
    manifest: SplitManifest,
    vocabulary: Vocabulary,
    evaluate: EvaluateParams,
    report: ReportParams,
    *,
    root: Path,
    done: Callable[[int], None] = lambda count: None,
) -> VariantSheet:
    """Draw a variant's best detections on an even sample of the split.

    Args:
        evaluate: the variant's own; hits are those of its setting.
        root: repository root that the manifest's image paths are relative to.
        done: called with 1 after each image.

    Raises:
        DataError: an image is missing or damaged.
    """
    detections, truth = fuse(dump, evaluate), annotated.truth
    result = evaluate_hicodet(
        detections,
        truth,
        num_hois=vocabulary.num_hois,
        rare=annotated.rare,
        hoi_object_ids=vocabulary.hoi_object_ids,
        setting=evaluate.setting,
        keep_matches=True,
    )
    rows = best_rows(detections, truth, vocabulary.num_hois)
    images = []
    for image in sample_indices(len(manifest), report.num_images).tolist():
        pairs = pairs_of_image(
            detections, result, truth, vocabulary, image=image, rows=rows, pairs_per_image=report.pairs_per_image
        )
        images.append(SheetImage(manifest.image_ids[image], open_image(manifest.image_path(image, root)), pairs))
        done(1)
    caption = _caption(len(images), manifest, report.pairs_per_image)
    sheet = contact_sheet(images, title=f"{name} on {manifest.dataset} {manifest.split}", caption=caption)
    return VariantSheet(
        png_bytes(sheet), jpeg_bytes(sheet), jpeg_bytes(preview(sheet)), caption, metrics(result, detections, truth)
    )


def _caption(num_shown: int, manifest: SplitManifest, pairs_per_image: int) -> str:
    return (
        f"{num_shown} of {len(manifest):,} images: the middle one of each of {num_shown} equal stretches of the "
        f"{manifest.split} split, whatever the result. Of each HOI class its best-scored detections in the whole split "
        f"are shown, as many as the class has annotated pairs there, for at most {pairs_per_image} pairs per image. "
        f"Right and wrong as in the evaluation: both IoU at least 0.5, and an annotated pair counts once."
    )
