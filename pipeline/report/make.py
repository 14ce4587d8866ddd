"""The whole report of a dataset: read what the stages left, score, choose, draw. Nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.layout import Layout
from pipeline.config.params import Variant
from pipeline.config.run import Run
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest, read_split
from pipeline.evaluation.params import EvaluateParams
from pipeline.report import comparison
from pipeline.report.gallery import gallery_record
from pipeline.report.params import ReportParams
from pipeline.report.records import RunRecords, read_run_records, record_files, remedy
from pipeline.report.results import check_metrics
from pipeline.report.scored import ScoredRun, score_run
from pipeline.report.selection import sample_indices
from pipeline.report.variant_sheet import VariantSheet, draw_variant
from pipeline.store.dump import PredictionDump, read_dump
from pipeline.store.vocabulary_file import read_vocabulary
from pipeline.truth.ground_truth_file import AnnotatedSplit, read_ground_truth

Progress = Callable[[int], None]


@dataclass(frozen=True)
class EvaluatedSplit:
    """The annotated split that all variants are shown on."""

    vocabulary: Vocabulary
    manifest: SplitManifest
    annotated: AnnotatedSplit


@dataclass(frozen=True)
class Report:
    """Records and sheets by variant, the gallery's record, the side-by-side picture with its caption (None for a single
    variant), and every file that was read."""

    runs: dict[str, RunRecords]
    sheets: dict[str, VariantSheet]
    gallery: dict[str, Any]
    comparison: tuple[bytes, str] | None
    files: list[Path]


def read_test_split(layout: Layout) -> EvaluatedSplit:
    """Read vocabulary, images and annotations of the test split. Raises ArtifactError."""
    vocabulary = read_vocabulary(layout.vocabulary)
    manifest = read_split(layout.split("test"), vocabulary)
    annotated = read_ground_truth(layout.ground_truth("test"), manifest, vocabulary.num_hois)
    return EvaluatedSplit(vocabulary, manifest, annotated)


def make_report(
    layout: Layout,
    split: EvaluatedSplit,
    variants: Mapping[str, Variant],
    evaluate: Mapping[str, EvaluateParams],
    report: ReportParams,
    done: Progress,
) -> Report:
    """Make all parts of the report.

    Args:
        variants: rows of params.yaml by variant, with the overrides in its name, in the order in which they are shown.
        evaluate: each run's own section.
        done: called with 1 after each variant, and after each image of a sheet and of the gallery.

    Raises:
        ArtifactError: a file is missing, damaged, or of other params than those of now.
        DataError: an image is missing or damaged.
    """
    manifest, truth, vocabulary = split.manifest, split.annotated.truth, split.vocabulary
    images = sample_indices(len(manifest), report.gallery_images)
    records: dict[str, RunRecords] = {}
    scored: dict[str, ScoredRun] = {}
    sheets: dict[str, VariantSheet] = {}
    for name, variant in variants.items():
        records[name] = read_run_records(layout, name, variant.desc)
        dump, times = _predictions(layout, name, split), None
        if (factor := evaluate[name].times_run) is not None:
            times = _predictions(layout, factor, split)
        scored[name] = score_run(dump, split.annotated, vocabulary, evaluate[name], images, times)
        stale = remedy("evaluate", layout, name)
        check_metrics(layout.metrics(Run.parse(name)), records[name].metrics, scored[name].metrics, stale)
        done(1)
        sheets[name] = draw_variant(
            name, scored[name].best, truth, manifest, vocabulary, report, root=layout.root, done=done
        )
    first, _ = comparison.compared(variants)
    gallery = gallery_record(scored, first, truth, manifest, vocabulary, images, root=layout.root, done=done)
    beside, shown = _side_by_side(scored, split, report, layout.root)
    shown |= {*images.tolist(), *sample_indices(len(manifest), report.num_images).tolist()}
    files = [layout.vocabulary, layout.split("test"), layout.ground_truth("test")]
    files += [file for name in variants for file in record_files(layout, name)]
    files += [manifest.image_path(image, layout.root) for image in sorted(shown)]
    return Report(records, sheets, gallery, beside, files)


def _predictions(layout: Layout, name: str, split: EvaluatedSplit) -> PredictionDump:
    return read_dump(
        layout.predictions(Run.parse(name)),
        vocabulary=split.vocabulary,
        image_ids=split.manifest.image_ids,
        run=Run.parse(name).name,
        remedy=remedy("infer", layout, name),
    )


def _side_by_side(
    scored: Mapping[str, ScoredRun], split: EvaluatedSplit, report: ReportParams, root: Path
) -> tuple[tuple[bytes, str] | None, set[int]]:
    """The picture with its caption, and the images on it."""
    first, second = comparison.compared(scored)
    if second is None:
        return None, set()
    variants, pairs = [(name, scored[name].best) for name in (first, second)], report.pairs_per_image
    truth = split.annotated.truth
    images = comparison.compared_images(variants[0][1], variants[1][1], truth)
    jpeg = comparison.draw_comparison(
        variants, images, truth, split.manifest, split.vocabulary, pairs_per_image=pairs, root=root
    )
    return (jpeg, comparison.caption(first, second, pairs)), set(images.values())
