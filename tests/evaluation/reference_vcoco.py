"""V-COCO's evaluator as its authors wrote it, one detection at a time: slow, literal, independent of the library.

Follows `_do_role_eval`, `_do_agent_eval`, `get_overlap` and `voc_ap` of s-gupta/v-coco's `vsrl_eval.py`, on inclusive
pixel boxes. The departures: ties go by row order, and what crashes there does not: a class without detections has AP 0,
a detection on an image without people is a false positive. With `official`, neither: the sort is a stable one, reversed
as there, and what crashes there crashes.
"""

from __future__ import annotations

import numpy as np


def clean_objects(instances: dict) -> dict[int, list[dict]]:
    """Valid objects of each image with their inclusive `clean_bbox` (`_add_gt_annotations`)."""
    objects: dict[int, list[dict]] = {image["id"]: [] for image in instances["images"]}
    sizes = {image["id"]: (image["width"], image["height"]) for image in instances["images"]}
    for obj in instances["annotations"]:
        if obj.get("ignore", 0) == 1:
            continue
        width, height = sizes[obj["image_id"]]
        x1, y1, w, h = obj["bbox"]
        x2, y2 = x1 + max(0.0, w - 1.0), y1 + max(0.0, h - 1.0)
        x1, x2 = (min(width - 1.0, max(0.0, x)) for x in (x1, x2))
        y1, y2 = (min(height - 1.0, max(0.0, y)) for y in (y1, y2))
        if obj["area"] > 0 and x2 > x1 and y2 > y1:
            objects[obj["image_id"]].append({**obj, "clean_bbox": np.array([x1, y1, x2, y2])})
    return objects


def get_overlap(boxes: np.ndarray, ref_box: np.ndarray) -> np.ndarray:
    """IoU of boxes [n, 4] with one box, inclusive pixels."""
    ixmin, iymin = np.maximum(boxes[:, 0], ref_box[0]), np.maximum(boxes[:, 1], ref_box[1])
    ixmax, iymax = np.minimum(boxes[:, 2], ref_box[2]), np.minimum(boxes[:, 3], ref_box[3])
    iw, ih = np.maximum(ixmax - ixmin + 1.0, 0.0), np.maximum(iymax - iymin + 1.0, 0.0)
    inters = iw * ih
    ref_area = (ref_box[2] - ref_box[0] + 1.0) * (ref_box[3] - ref_box[1] + 1.0)
    areas = (boxes[:, 2] - boxes[:, 0] + 1.0) * (boxes[:, 3] - boxes[:, 1] + 1.0)
    return inters / (ref_area + areas - inters)


def voc_ap(rec: np.ndarray, prec: np.ndarray) -> float:
    """Area under the precision envelope."""
    mrec, mpre = np.concatenate(([0.0], rec, [1.0])), np.concatenate(([0.0], prec, [0.0]))
    for i in range(mpre.size - 1, 0, -1):
        mpre[i - 1] = max(mpre[i - 1], mpre[i])
    i = np.where(mrec[1:] != mrec[:-1])[0]
    return float(np.sum((mrec[i + 1] - mrec[i]) * mpre[i + 1]))


class Reference:
    """The official `VCOCOeval`, over rows (image_id, action, role_index, human box, role box or None, score)."""

    def __init__(self, entries: list[dict], instances: dict, *, official: bool = False) -> None:
        self.entries, self.objects, self.official = entries, clean_objects(instances), official
        for entry in entries:
            entry["roles"] = np.array(entry["role_object_id"]).reshape(len(entry["role_name"]), -1).T

    def person(self, image_id: int, ann_id: int, action: int) -> tuple[int, list]:
        """Label (-1: un-annotated) of one person for one action, and its role boxes (None: empty)."""
        entry = self.entries[action]
        if ann_id not in self.entries[0]["ann_id"]:
            return -1, []
        rows = [row for row, other in enumerate(entry["ann_id"]) if other == ann_id and entry["label"][row] == 1]
        if not rows:
            return 0, []
        boxes = {obj["id"]: obj["clean_bbox"] for obj in self.objects[image_id]}
        return 1, [None if i == 0 else boxes[i] for i in entry["roles"][rows[0]][1:]]

    def evaluate(self, rows: list[tuple], action: int, role: int | None, scenario: int) -> float:
        """AP of one verb-role in a scenario; of the agent where role is None."""
        tp, npos = [], 0
        for image_id, objects in self.objects.items():
            people = [obj for obj in objects if obj["category_id"] == 1]
            labels, roles = (
                zip(*(self.person(image_id, obj["id"], action) for obj in people), strict=True) if people else ((), ())
            )
            npos += sum(label == 1 for label in labels)
            covered = [False] * len(people)
            mine = [
                (row, order)
                for order, row in enumerate(rows)
                if row[0] == image_id and row[1] == action and (role is None or row[2] == role)
            ]
            mine = [(row, order) for row, order in mine if not np.isnan(row[5])]
            mine.sort(key=lambda pair: (-pair[0][5], -pair[1] if self.official else pair[1]))
            for (_, _, _, human, role_box, score), order in mine:
                if not people and not self.official:
                    tp.append((-score, order, 0))
                    continue
                overlaps = get_overlap(np.array([obj["clean_bbox"] for obj in people]), human - [0, 0, 1, 1])
                jmax = int(overlaps.argmax())
                if labels[jmax] == -1:
                    continue
                right = labels[jmax] == 1 and overlaps[jmax] >= 0.5
                if right and role is not None:
                    right = self.role_passes(roles[jmax][role - 1], role_box, scenario)
                tp.append((-score, order, int(right and not covered[jmax])))
                covered[jmax] = covered[jmax] or right
        if self.official:  # a_sc.argsort()[::-1], and np.amax(rec) over what is found
            hits = np.array([hit for _, _, hit in tp])[np.argsort([-negated for negated, _, _ in tp], kind="stable")]
            hits = hits[::-1]
            assert np.amax(np.cumsum(hits) / npos) <= 1
        elif not tp:
            return 0.0
        else:
            hits = np.array([hit for _, _, hit in sorted(tp)])
        return voc_ap(np.cumsum(hits) / npos, np.cumsum(hits) / np.arange(1, len(hits) + 1))

    @staticmethod
    def role_passes(wanted, role_box, scenario: int) -> bool:
        """The role test of one detection."""
        if wanted is None:
            return scenario == 2 or bool(np.isnan(role_box).all() or (role_box == 0).all())
        if (role_box == 0).all():
            return False
        return bool(get_overlap(wanted[None], role_box - [0, 0, 1, 1])[0] >= 0.5)
