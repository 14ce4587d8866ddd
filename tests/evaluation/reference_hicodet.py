"""HICO-DET's evaluator as its authors wrote it, one detection at a time: slow, literal, independent of the library.

Follows `VOCevaldet_bboxpair.m` and `eval_one.m` of ywchao/ho-rcnn line by line: 1-based inclusive pixel boxes, a `det`
flag on each ground truth, cumulative counts, 11-point interpolation over 0:0.1:1.
"""

from __future__ import annotations

import numpy as np

from pipeline.core.types import Detections
from pipeline.truth.ground_truth import GroundTruth


def _inclusive(box) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [x1 + 1, y1 + 1, x2, y2]


def _overlap(bb: list[float], bbgt: list[float]) -> float:
    iw = min(bb[2], bbgt[2]) - max(bb[0], bbgt[0]) + 1
    ih = min(bb[3], bbgt[3]) - max(bb[1], bbgt[1]) + 1
    if iw <= 0 or ih <= 0:
        return 0.0
    area = (bb[2] - bb[0] + 1) * (bb[3] - bb[1] + 1)
    area_gt = (bbgt[2] - bbgt[0] + 1) * (bbgt[3] - bbgt[1] + 1)
    return iw * ih / (area + area_gt - iw * ih)


def evaluate_class(detections: Detections, truth: GroundTruth, hoi_id: int, images: set[int]) -> tuple[float, float]:
    """AP and maximum recall of one class over some images; nan without ground truth."""
    gt: dict[int, list[dict]] = {i: [] for i in images}
    for g, (i, hoi) in enumerate(zip(truth.image_index.tolist(), truth.hoi_id.tolist(), strict=True)):
        if i in images and hoi == hoi_id:
            pair = {"h": _inclusive(truth.human_boxes[g]), "o": _inclusive(truth.object_boxes[g]), "det": False}
            gt[i].append(pair)
    npos = sum(len(pairs) for pairs in gt.values())
    numbered = enumerate(zip(detections.image_index.tolist(), detections.hoi_id.tolist(), strict=True))
    rows = [(i, t) for t, (i, hoi) in numbered if i in images and hoi == hoi_id]
    rows = [t for _, t in sorted(rows)]
    rows.sort(key=lambda t: -float(detections.scores[t]))  # stable: image order, then row order
    if npos == 0:
        return float("nan"), float("nan")
    if not rows:
        return 0.0, 0.0
    tp, fp = np.zeros(len(rows)), np.zeros(len(rows))
    for d, t in enumerate(rows):
        ovmax, jmax = -np.inf, -1
        for j, pair in enumerate(gt[int(detections.image_index[t])]):
            ov = min(
                _overlap(_inclusive(detections.human_boxes[t]), pair["h"]),
                _overlap(_inclusive(detections.object_boxes[t]), pair["o"]),
            )
            if ov > ovmax:
                ovmax, jmax = ov, j
        if ovmax >= 0.5 and not gt[int(detections.image_index[t])][jmax]["det"]:
            tp[d] = 1
            gt[int(detections.image_index[t])][jmax]["det"] = True
        else:
            fp[d] = 1
    tp, fp = np.cumsum(tp), np.cumsum(fp)
    recall, precision = tp / npos, tp / (tp + fp)
    ap = 0.0
    for k in range(11):
        reached = precision[recall >= k * 0.1]
        ap += (reached.max() if len(reached) else 0.0) / 11
    return ap, recall[-1]


def evaluate(
    detections: Detections, truth: GroundTruth, num_hois: int, hoi_object_ids, setting: str
) -> tuple[np.ndarray, np.ndarray]:
    """AP and maximum recall of every class, [H] each."""
    scores = []
    for hoi_id in range(num_hois):
        images = set(range(truth.num_images))
        if setting == "known_object":
            same_object = {h for h in range(num_hois) if hoi_object_ids[h] == hoi_object_ids[hoi_id]}
            pairs = zip(truth.image_index.tolist(), truth.hoi_id.tolist(), strict=True)
            if truth.image_hois is not None:
                pairs = zip(*(axis.tolist() for axis in np.nonzero(truth.image_hois.mask())), strict=True)
            images = {i for i, h in pairs if h in same_object}
        if setting == "explanation_hoi":
            pairs = zip(truth.image_index.tolist(), truth.hoi_id.tolist(), strict=True)
            images = {i for i, h in pairs if h == hoi_id}
        scores.append(evaluate_class(detections, truth, hoi_id, images))
    ap, recall = zip(*scores, strict=True)
    return np.array(ap), np.array(recall)
