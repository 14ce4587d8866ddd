"""The whole report of a dataset: read what the stages left, choose, draw. Nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.params import Variant
from pipeline.config.run import Run
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.report import comparison
from pipeline.report.gallery import gallery_record
from pipeline.report.params import ReportParams
from pipeline.report.records import RunRecords, read_run_records, remedy
from pipeline.report.scored import ScoredRun, read_scored
from pipeline.report.selection import sample_indices
from pipeline.report.variant_sheet import VariantSheet, draw_variant
from pipeline.store.detections_dump import open_matched
from pipeline.store.run_params import refuse_other_params

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Report:
    """Records and sheets by variant, the gallery's record, the side-by-side picture with its caption (None for a single
    variant), and every image that is shown."""

    runs: dict[str, RunRecords]
    sheets: dict[str, VariantSheet]
    gallery: dict[str, Any]
    comparison: tuple[bytes, str] | None
    images: list[Path]


def make_report(split: ScoredSplit, variants: Mapping[str, Variant], report: ReportParams, done: Progress) -> Report:
    """Make all parts of the report.

    Args:
        split: the test split; its `inputs` then name every file that was read, but the images.
        variants: rows of params.yaml by variant, with the overrides in its name, in the order in which they are shown.
        done: called with 1 after each variant, and after each image of a sheet and of the gallery.

    Raises:
        ArtifactError: a file is missing, damaged, or of other params than those of now.
        DataError: an image is missing or damaged.
    """
    manifest, truth, vocabulary, inputs = split.manifest, split.annotated.truth, split.vocabulary, split.inputs
    layout, root = inputs.layout, inputs.layout.root
    images = sample_indices(len(manifest), report.gallery_images)
    records = {name: read_run_records(inputs, name, variant.desc) for name, variant in variants.items()}
    scored: dict[str, ScoredRun] = {}
    for name in variants:
        run = Run.parse(name)
        path = inputs.take(layout.detections(run), "evaluate", run)
        dump = open_matched(path, run=run.name, remedy=remedy("evaluate", layout, name))
        scored[name] = read_scored(dump, truth, vocabulary.num_hois, images)
        done(1)
    refuse_other_params(inputs.chain.runs, layout.params)
    sheets = {
        name: draw_variant(name, run.best, truth, manifest, vocabulary, report, root=root, done=done)
        for name, run in scored.items()
    }
    first, _ = comparison.compared(variants)
    gallery = gallery_record(scored, first, truth, manifest, vocabulary, images, root=root, done=done)
    beside, shown = _side_by_side(scored, split, report)
    shown |= {*images.tolist(), *sample_indices(len(manifest), report.num_images).tolist()}
    return Report(records, sheets, gallery, beside, [manifest.image_path(image, root) for image in sorted(shown)])


def _side_by_side(
    scored: Mapping[str, ScoredRun], split: ScoredSplit, report: ReportParams
) -> tuple[tuple[bytes, str] | None, set[int]]:
    """The picture with its caption, and the images on it."""
    first, second = comparison.compared(scored)
    if second is None:
        return None, set()
    variants, pairs = [(name, scored[name].best) for name in (first, second)], report.pairs_per_image
    truth, root = split.annotated.truth, split.inputs.layout.root
    images = comparison.compared_images(variants[0][1], variants[1][1], truth)
    jpeg = comparison.draw_comparison(
        variants, images, truth, split.manifest, split.vocabulary, pairs_per_image=pairs, root=root
    )
    return (jpeg, comparison.caption(first, second, pairs)), set(images.values())
