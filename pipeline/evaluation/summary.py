"""An evaluation as the numbers that people and DVC read: percent, per-class rows, and a mean precision-recall curve."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from pipeline.core.class_groups import FULL, ClassGroups
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.error_gains import ErrorAnalysis
from pipeline.evaluation.hicodet import HicoDetResult
from pipeline.truth.ground_truth import GroundTruth

_RECALL_GRID = np.linspace(0, 1, 51)
ROLE_MEASURES = ("ap_role_s1", "ap_role_s2", "ap_agent")  # main numbers of the V-COCO protocol
_PER_CLASS = ("hoi_id", "verb", "object", "ap", "max_recall", "ground_truth", "detections")


def metrics(result: HicoDetResult, num_detections: int, truth: GroundTruth, groups: ClassGroups) -> dict[str, Any]:
    """Return the mAP of each group of classes and mean maximum recall in percent, and counts."""
    return {
        "setting": result.setting,
        **{name: percent(value) for name, value in groups.means(result.ap).items()},
        "max_recall": percent(result.mean_max_recall),
        "groups": groups.sizes(),
        "counts": {
            "images": truth.num_images,
            "ground_truth_pairs": len(truth),
            "detections": num_detections,
            "hoi_classes": len(result.ap),
            "classes_without_ground_truth": int((result.num_gt == 0).sum()),
        },
    }


def error_figures(errors: ErrorAnalysis) -> dict[str, Any]:
    """Return the number of detections and missed pairs of each type at break-even, and the mAP gained if it were fixed.

    Gains are in points of percent.
    """
    return {
        "at_break_even": {name: int(count.sum()) for name, count in errors.counts().items()},
        "gain_if_fixed": {name: percent(gain) for name, gain in errors.gains.items()},
    }


def headline(metrics: dict[str, Any]) -> dict[str, float | None]:
    """Return the few metrics of a run that people compare: the mAP of each group, after V-COCO's main numbers."""
    return {name: metrics[name] for name in (*ROLE_MEASURES, *metrics["groups"]) if name in metrics}


def per_class_csv(
    result: HicoDetResult,
    errors: ErrorAnalysis,
    vocabulary: Vocabulary,
    train_instances: IntArray,
    groups: ClassGroups,
) -> str:
    """Return one row per HOI class; AP and recall in percent, empty where a class has no ground truth.

    Detections and missed pairs at break-even are counted by type. The columns after `train_instances` are the groups
    but "full", 1 for their classes.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    others = [name for name in groups if name != FULL]
    by_type = errors.counts()
    writer.writerow([*_PER_CLASS, *by_type, "train_instances", *others])
    for hoi_id, (verb_id, object_id) in enumerate(vocabulary.hoi_classes):
        names = [vocabulary.verbs[verb_id], vocabulary.objects[object_id]]
        scores = [percent_cell(score[hoi_id]) for score in (result.ap, result.max_recall)]
        columns = (result.num_gt, result.num_detections, *by_type.values(), train_instances)
        counts = [int(count[hoi_id]) for count in columns]
        writer.writerow([hoi_id, *names, *scores, *counts, *(int(groups[name][hoi_id]) for name in others)])
    return stream.getvalue()


def mean_curve_csv(result: HicoDetResult, groups: ClassGroups) -> str:
    """Return precision against recall, averaged over the classes with ground truth: a column for each group.

    A class's precision at recall r is its best precision at any recall of at least r; 0 beyond its last hit. The column
    of a group without such classes is empty.
    """
    curves = np.stack([_envelope(result, hoi_id) for hoi_id in range(len(result.ap))])
    columns = []
    for name in groups:
        counted = groups[name] & (result.num_gt > 0)
        means = curves[counted].mean(0) if counted.any() else None
        columns.append([""] * len(_RECALL_GRID) if means is None else [f"{value:.6f}" for value in means])
    rows = zip((f"{recall:.2f}" for recall in _RECALL_GRID), *columns, strict=True)
    return "\n".join([",".join(["recall", *groups]), *map(",".join, rows)]) + "\n"


def _envelope(result: HicoDetResult, hoi_id: int) -> np.ndarray:
    recall, precision = result.curve(hoi_id)
    best_from = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return best_from[np.searchsorted(recall, _RECALL_GRID - 1e-9)]


def percent(value: float) -> float | None:
    """A score of 0..1 as JSON keeps it: percent with four decimals, None for no number."""
    return None if np.isnan(value) else round(100 * float(value), 4)


def percent_cell(value: float) -> str:
    """A score of 0..1 as CSV files keep it: percent with four decimals, empty for no number."""
    return "" if np.isnan(value) else f"{100 * value:.4f}"
