"""An evaluation as the numbers that people and DVC read: percent, per-class rows, and a mean precision-recall curve."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from pipeline.core.types import GroundTruth, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.hicodet import HicoDetResult

_RECALL_GRID = np.linspace(0, 1, 51)


def metrics(result: HicoDetResult, num_detections: int, truth: GroundTruth) -> dict[str, Any]:
    """Return Full / Rare / Non-rare mAP and mean maximum recall in percent, and counts."""
    return {
        "setting": result.setting,
        "full": percent(result.full),
        "rare": percent(result.rare),
        "non_rare": percent(result.non_rare),
        "max_recall": percent(result.mean_max_recall),
        "counts": {
            "images": truth.num_images,
            "ground_truth_pairs": len(truth),
            "detections": num_detections,
            "hoi_classes": len(result.ap),
            "rare_classes": int(result.is_rare.sum()),
            "classes_without_ground_truth": int((result.num_gt == 0).sum()),
        },
    }


def per_class_csv(result: HicoDetResult, vocabulary: Vocabulary, train_instances: IntArray) -> str:
    """Return one row per HOI class; AP and recall in percent, empty where a class has no ground truth."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["hoi_id", "verb", "object", "ap", "max_recall", "ground_truth", "detections", "train_instances", "rare"]
    )
    for hoi_id, (verb_id, object_id) in enumerate(vocabulary.hoi_classes):
        scores = map(percent_cell, (result.ap[hoi_id], result.max_recall[hoi_id]))
        counts = [int(result.num_gt[hoi_id]), int(result.num_detections[hoi_id]), int(train_instances[hoi_id])]
        names = [vocabulary.verbs[verb_id], vocabulary.objects[object_id]]
        writer.writerow([hoi_id, *names, *scores, *counts, int(result.is_rare[hoi_id])])
    return stream.getvalue()


def mean_curve_csv(result: HicoDetResult) -> str:
    """Return precision against recall, averaged over the classes with ground truth: columns Full, Rare, Non-rare.

    A class's precision at recall r is its best precision at any recall of at least r; 0 beyond its last hit. The column
    of a group without classes is empty.
    """
    counted = result.num_gt > 0
    curves = np.stack([_envelope(result, hoi_id) for hoi_id in range(len(result.ap))])
    groups = (counted, counted & result.is_rare, counted & ~result.is_rare)
    columns = [
        [f"{value:.6f}" for value in curves[members].mean(0)] if members.any() else [""] * len(_RECALL_GRID)
        for members in groups
    ]
    rows = zip((f"{recall:.2f}" for recall in _RECALL_GRID), *columns, strict=True)
    return "\n".join(["recall,full,rare,non_rare", *map(",".join, rows)]) + "\n"


def _envelope(result: HicoDetResult, hoi_id: int) -> np.ndarray:
    recall, precision = result.curve(hoi_id)
    best_from = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return best_from[np.searchsorted(recall, _RECALL_GRID - 1e-9)]


def percent(value: float) -> float | None:
    """A share of 0..1 as percent of four decimals; None for nan, a mean over no class."""
    return None if np.isnan(value) else round(100 * float(value), 4)


def percent_cell(value: float) -> str:
    """The same as a cell of a CSV file: empty for nan."""
    return "" if np.isnan(value) else f"{100 * value:.4f}"
