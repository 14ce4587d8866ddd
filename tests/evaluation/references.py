"""Evaluators of HICO-DET as their authors wrote them: slow, one detection at a time, independent of the library.

- fredzzhang/upt: `utils.py: test_hico`; fredzzhang/pocket: `association.py`, `meters.py: DetectionAPMeter`, "11P".
- YueLiao/gen-vlkt: `datasets/hico_eval_triplet.py` with its triplet NMS, `util/topk.py`. Its sorts are unstable; here
  equal scores stay in row order. Its annotations are 1-based inclusive pixels, its detections continuous corners.
"""

from __future__ import annotations

import numpy as np
import torch

from pipeline.core.types import Detections
from pipeline.truth.ground_truth import GroundTruth
from tests.evaluation import reference_hicodet

MAX_HOIS, THRES_NMS = 100, 0.7


def evaluate(
    detections: Detections, truth: GroundTruth, num_hois: int, hoi_object_ids, setting: str
) -> tuple[np.ndarray, np.ndarray]:
    """AP and maximum recall of every class by any setting, [H] each; nan without ground truth."""
    flagged = {"upt": _upt_flags, "gen_vlkt": _gen_vlkt_flags}.get(setting)
    if flagged is None:
        return reference_hicodet.evaluate(detections, truth, num_hois, hoi_object_ids, setting)
    lists: list[list[tuple[float, int]]] = [[] for _ in range(num_hois)]
    for image in range(truth.num_images):
        for hoi_id, score, flag in flagged(detections, truth, image):
            lists[hoi_id].append((score, flag))
    grid = torch.linspace(0, 1, 11, dtype=torch.float64).numpy() if setting == "upt" else np.arange(0, 1.1, 0.1)
    scores = [_ap(lists[h], int((truth.hoi_id == h).sum()), grid) for h in range(num_hois)]
    ap, recall = zip(*scores, strict=True)
    return np.array(ap), np.array(recall)


def _ap(rows: list[tuple[float, int]], num_gt: int, grid: np.ndarray) -> tuple[float, float]:
    if not num_gt:
        return float("nan"), float("nan")
    if not rows:
        return 0.0, 0.0
    tp = np.cumsum([flag for _, flag in sorted(rows, key=lambda row: -row[0])])
    recall, precision = tp / num_gt, tp / np.arange(1, len(tp) + 1)
    return sum(precision[recall >= t].max() / 11 for t in grid if (recall >= t).any()), recall[-1]


def _upt_flags(found: Detections, truth: GroundTruth, image: int) -> list[tuple[int, float, int]]:
    annotated = np.flatnonzero(truth.image_index == image)
    if not len(annotated):
        return []  # the data set leaves the image out
    rows, flags = np.flatnonzero(found.image_index == image), {}
    for hoi_id in np.unique(found.hoi_id[rows]):
        detected = rows[found.hoi_id[rows] == hoi_id]
        pairs = annotated[truth.hoi_id[annotated] == hoi_id]
        flags |= dict.fromkeys(detected, 0)
        if not len(pairs):
            continue
        overlaps = np.array([[_pair_overlap(found, row, truth, pair) for row in detected] for pair in pairs])
        best = overlaps.argmax(0)
        for number in range(len(pairs)):
            match = np.flatnonzero((best == number) & (overlaps[number] > 0.5))
            if len(match):
                flags[detected[match[found.scores[detected[match]].argmax()]]] = 1
    return [(int(found.hoi_id[row]), float(found.scores[row]), flags[row]) for row in rows]


def _pair_overlap(found: Detections, row: int, truth: GroundTruth, pair: int) -> float:
    humans = found.human_boxes[row].astype(float), truth.human_boxes[pair].astype(float)
    objects = found.object_boxes[row].astype(float), truth.object_boxes[pair].astype(float)
    return min(_iou(*humans, 0), _iou(*objects, 0))


def _iou(one, other, pixel: int, *, thin_counts: bool = True) -> float:
    """IoU of corners; `pixel` is 1 where they are read as inclusive pixels."""
    corner, end = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    if not thin_counts and (corner >= end).any():
        return 0.0
    overlap = np.maximum(end - corner + pixel, 0).prod()
    areas = [(box[2:] - box[:2] + pixel).prod() for box in (one, other)]
    return overlap / (sum(areas) - overlap)


def _gen_vlkt_flags(found: Detections, truth: GroundTruth, image: int) -> list[tuple[int, float, int]]:
    rows = np.flatnonzero(found.image_index == image)
    scores = found.scores[rows]
    best_scores = sorted(scores.tolist(), reverse=True)[:MAX_HOIS]
    chosen = [int(rows[np.flatnonzero(scores == score)[0]]) for score in best_scores]  # a tied row more than once
    kept = []
    for hoi_id in np.unique(found.hoi_id[chosen]) if chosen else []:
        order = [row for row in chosen if found.hoi_id[row] == hoi_id]  # by falling score
        while order:
            first, *others = order
            kept.append(first)
            order = [row for row in others if _nms_overlap(found, first, row) <= THRES_NMS]
    pairs = np.flatnonzero(truth.image_index == image)
    one_based = {
        pair: [boxes[pair].astype(float) + np.array([1, 1, 0, 0]) for boxes in (truth.human_boxes, truth.object_boxes)]
        for pair in pairs
    }
    taken: set[int] = set()
    flags = []
    for row in sorted(kept, key=lambda row: -found.scores[row]):
        largest, best = 0.0, -1
        for pair in pairs[truth.hoi_id[pairs] == found.hoi_id[row]]:
            human, thing = one_based[pair]
            overlaps = (
                _iou(human, found.human_boxes[row].astype(float), 1, thin_counts=False),
                _iou(thing, found.object_boxes[row].astype(float), 1, thin_counts=False),
            )
            if min(overlaps) >= 0.5 and min(overlaps) > largest:
                largest, best = min(overlaps), pair
        flags.append((int(found.hoi_id[row]), float(found.scores[row]), int(best >= 0 and best not in taken)))
        taken.add(best)
    return flags


def _nms_overlap(found: Detections, one: int, other: int) -> float:
    human, thing = (
        _iou(boxes[one].astype(float), boxes[other].astype(float), 1)
        for boxes in (found.human_boxes, found.object_boxes)
    )
    return human * thing**0.5
