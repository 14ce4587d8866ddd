"""Quality figures of the two small models: average precision, detection AP50, recall of interacting pairs.

They say whether a recipe worked. The project's protocols are in `evaluation/`; nothing here is reported as a result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import box_iou
from pipeline.core.types import Proposals
from pipeline.toyworld.scenes import Scene


def average_precision(scores: NDArray[np.float32], hits: NDArray[np.bool_], num_positives: int) -> float:
    """Area under the precision-recall curve of T ranked candidates: mean precision at the hits.

    Args:
        scores: [T], ties broken by row.
        hits: bool [T], whether a candidate is correct.
        num_positives: how many there are to find; not 0.
    """
    ranked = hits[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].sum() / num_positives)


def mean_average_precision(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> float:
    """Mean over columns of average precision for scores [I, H] and labels bool [I, H]; empty columns are left out."""
    present = np.flatnonzero(labels.any(0))
    return float(np.mean([average_precision(scores[:, c], labels[:, c], int(labels[:, c].sum())) for c in present]))


def detection_ap50(proposals: Sequence[Proposals], scenes: Sequence[Scene], num_objects: int) -> float:
    """Mean over categories of AP at IoU 0.5, each ground-truth box matched once, highest score first."""
    scores: list[list[float]] = [[] for _ in range(num_objects)]
    hits: list[list[bool]] = [[] for _ in range(num_objects)]
    positives = np.zeros(num_objects, dtype=np.int64)
    for found, scene in zip(proposals, scenes, strict=True):
        positives += np.bincount(scene.object_ids, minlength=num_objects)
        overlaps = box_iou(found.boxes[:, None], scene.boxes[None])
        overlaps[found.object_ids[:, None] != scene.object_ids[None]] = 0.0
        for row in np.argsort(-found.scores, kind="stable"):
            best = int(overlaps[row].argmax())
            hit = bool(overlaps[row, best] >= 0.5)
            if hit:
                overlaps[:, best] = 0.0
            category = int(found.object_ids[row])
            scores[category].append(float(found.scores[row]))
            hits[category].append(hit)
    ranked = zip(scores, hits, positives, strict=True)
    return float(np.mean([average_precision(np.array(s), np.array(h, dtype=bool), int(n)) for s, h, n in ranked if n]))


def pair_recall(proposals: Sequence[Proposals], scenes: Sequence[Scene], score_threshold: float) -> float:
    """Share of interacting pairs with both boxes found: right category, IoU of at least 0.5, score high enough."""
    found_pairs = all_pairs = 0
    for found, scene in zip(proposals, scenes, strict=True):
        overlaps = box_iou(scene.boxes[:, None], found.boxes[None])
        right = (scene.object_ids[:, None] == found.object_ids[None]) & (found.scores[None] >= score_threshold)
        recalled = ((overlaps >= 0.5) & right).any(1)
        for human, thing in scene.pairs:
            all_pairs += 1
            found_pairs += bool(recalled[human] and recalled[thing])
    return found_pairs / max(all_pairs, 1)


def pairs_per_image(proposals: Sequence[Proposals], human_object_id: int, score_threshold: float) -> float:
    """Mean number of (human, object) candidates above the score, the human category not counted as an object."""
    counts = []
    for found in proposals:
        kept = found.object_ids[found.scores >= score_threshold]
        humans = int((kept == human_object_id).sum())
        counts.append(humans * (len(kept) - humans))
    return float(np.mean(counts))
