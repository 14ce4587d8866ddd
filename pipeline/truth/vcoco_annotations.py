"""V-COCO annotations: the official files with COCO instances, read as `vsrl_eval.py` reads them.

An official `vcoco_*.json` lists 26 actions, each with action_name, role_name ("agent" first), and for each annotated
person ann_id, image_id, label, and role_object_id (role by role: all agents, then all first roles, ...; 0 = empty). The
boxes are in COCO's `instances.json`, found by ann_id.

COCO `[x, y, w, h]` becomes `[x, y, x+w, y+h]`, by way of the official inclusive corner x + max(0, w-1) clipped to
the image; boxes that are then no larger than one pixel, of area 0, or marked `ignore` are dropped, as officially.
Every box of an image is kept: a detection may point at a person whom nobody annotated.

Axis legend: I images, B boxes, P people, A actions (26), R roles per action (2), S verb-roles (25).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import FloatArray, IntArray
from pipeline.store.json_file import load_json, looks_like, read_annotation_json

PERSON_CATEGORY = 1  # COCO's id of "person"
NUM_ROLES = 2  # no action has more, besides the agent
LEFT_OUT = "point instr"  # the usual role AP is over 24 verb-roles instead of the official file's 25
_ENTRY_KEYS = ("action_name", "role_name", "ann_id", "image_id", "label", "role_object_id")


@dataclass(frozen=True)
class VCocoAnnotations:
    """One split as the official evaluator sees it.

    Images: `image_ids` int64 [I] ascending (COCO ids), `filenames` [I], `sizes` int64 [I, 2] width, height.
    Boxes: `boxes` float32 [B, 4] continuous xyxy and `category_ids` int64 [B] (COCO ids) of all objects.
    People, by image, in the file's order: `person_image` int64 [P] (row of image_ids), `person_box` int64 [P] (row of
    boxes), `labels` int8 [P, A]: 1 does the action, 0 does not, -1 (in all actions) was never annotated; `role_box`
    int64 [P, A, R]: row of boxes that fills the role, -1 where it is empty.
    Vocabulary: `actions` [A] names; `roles` [A] the names of each action's roles besides the agent; `categories`
    COCO id to name, in the file's order.
    """

    image_ids: IntArray
    filenames: tuple[str, ...]
    sizes: IntArray
    boxes: FloatArray
    category_ids: IntArray
    person_image: IntArray
    person_box: IntArray
    labels: NDArray[np.int8]
    role_box: IntArray
    actions: tuple[str, ...]
    roles: tuple[tuple[str, ...], ...]
    categories: dict[int, str]

    def __len__(self) -> int:
        return len(self.image_ids)

    @cached_property
    def verb_roles(self) -> tuple[tuple[int, int], ...]:
        """(action row, role column from 0) of each verb-role, [S]."""
        return tuple((action, role) for action, names in enumerate(self.roles) for role in range(len(names)))

    def verb_role_name(self, action: int, role: int) -> str:
        """Name as in "hold obj"."""
        return f"{self.actions[action]} {self.roles[action][role]}"

    def verb_role_ids(self, verb_roles: Sequence[tuple[int, int]]) -> IntArray:
        """Row in `verb_roles` of each (action, role), int64 [A, R]; -1 where it is not among them."""
        table = np.full(self.role_box.shape[1:], -1, dtype=np.int64)
        for row, verb_role in enumerate(verb_roles):
            table[verb_role] = row
        return table

    def take_images(self, rows: IntArray) -> VCocoAnnotations:
        """Return some images, rows ascending, with their people and the boxes that those refer to."""
        people = np.flatnonzero(np.isin(self.person_image, rows))
        role_box = self.role_box[people]
        kept = np.unique(np.concatenate([self.person_box[people], role_box[role_box >= 0]]))
        return replace(
            self,
            image_ids=self.image_ids[rows],
            filenames=tuple(self.filenames[row] for row in rows),
            sizes=self.sizes[rows],
            boxes=self.boxes[kept],
            category_ids=self.category_ids[kept],
            person_image=np.searchsorted(rows, self.person_image[people]),
            person_box=np.searchsorted(kept, self.person_box[people]),
            labels=self.labels[people],
            role_box=np.where(role_box >= 0, np.searchsorted(kept, role_box), -1),
        )


def read_vcoco(path: Path, instances_path: Path) -> VCocoAnnotations:
    """Read an official `vcoco_*.json` with the COCO instances that hold its ann_ids.

    Images are all those of the instances file.

    Raises:
        DataError: a file is missing, truncated, of another dataset, or the two do not belong together.
    """
    data = load_json(path)
    instances = read_annotation_json(instances_path, ("images", "annotations"), "COCO instances")
    try:
        entries = _check_entries(data, path)
        objects = _CocoObjects.read(instances)
        labels, role_box = _label_people(entries, objects, path, instances_path)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} with {instances_path}: unexpected structure ({type(error).__name__}: {error}); "
            "expected the official V-COCO file and COCO instances"
        ) from None
    return VCocoAnnotations(
        image_ids=objects.image_ids,
        filenames=objects.filenames,
        sizes=objects.sizes,
        boxes=objects.boxes,
        category_ids=objects.category_ids,
        person_image=objects.image_row[objects.people],
        person_box=objects.people,
        labels=labels,
        role_box=role_box,
        actions=tuple(entry["action_name"] for entry in entries),
        roles=tuple(tuple(entry["role_name"][1:]) for entry in entries),
        categories={int(entry["id"]): str(entry["name"]) for entry in instances.get("categories", [])},
    )


def _check_entries(entries: Any, path: Path) -> list[dict[str, Any]]:
    """Entries of the official file, one per action."""
    if not isinstance(entries, list) or not entries:
        raise DataError(
            f"{path}: not an official V-COCO file ({looks_like(entries)}); expected a list of 26 actions, "
            "check --dataset and --annotations"
        )
    for row, entry in enumerate(entries):
        missing = [key for key in _ENTRY_KEYS if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise DataError(f"{path}: action {row} has no {', '.join(missing)}; expected the official V-COCO file")
        if not isinstance(entry["action_name"], str):
            raise DataError(
                f"{path}: action {row} is named {entry['action_name']!r}; expected the official V-COCO file"
            )
        size, roles = len(entry["ann_id"]), len(entry["role_name"])
        if roles < 1 or roles > NUM_ROLES + 1:
            raise DataError(f"{path}: action {row} has {roles} roles, expected the agent and up to {NUM_ROLES} more")
        for key, expected in (("image_id", size), ("label", size), ("role_object_id", size * roles)):
            if len(np.ravel(entry[key])) != expected:
                found = len(np.ravel(entry[key]))
                raise DataError(f"{path}: action {row}: {key} has {found} values, expected {expected}; damaged file")
    return entries


@dataclass(frozen=True)
class _CocoObjects:
    """Valid boxes of COCO instances, by image (ascending id), in the file's order; `people` are rows of persons."""

    image_ids: IntArray
    filenames: tuple[str, ...]
    sizes: IntArray
    annotation_ids: IntArray
    image_row: IntArray
    boxes: FloatArray
    category_ids: IntArray
    people: IntArray
    dropped_ids: IntArray

    @classmethod
    def read(cls, instances: dict[str, Any]) -> _CocoObjects:
        """Take the boxes that the official evaluator takes."""
        images = sorted(instances["images"], key=lambda image: image["id"])
        image_ids = np.array([image["id"] for image in images], dtype=np.int64)
        sizes = np.array([(image["width"], image["height"]) for image in images], dtype=np.int64).reshape(-1, 2)
        found = instances["annotations"]
        image_id = np.array([entry["image_id"] for entry in found], dtype=np.int64)
        boxes = np.array([entry["bbox"] for entry in found], dtype=np.float64).reshape(-1, 4)
        area = np.array([entry.get("area", entry["bbox"][2] * entry["bbox"][3]) for entry in found], dtype=np.float64)
        ignored = np.array([entry.get("ignore", 0) == 1 for entry in found], dtype=np.bool_)
        category_ids = np.array([entry["category_id"] for entry in found], dtype=np.int64)
        annotation_ids = np.array([entry["id"] for entry in found], dtype=np.int64)

        _check_instances(image_ids, annotation_ids, boxes)
        image_row = _look_up(image_ids, image_id)
        corners = _clean_corners(boxes, sizes[image_row])
        larger = (corners[:, 2] > corners[:, 0] + 1) & (corners[:, 3] > corners[:, 1] + 1)
        valid = larger & (area > 0) & ~ignored & (image_row >= 0)
        order = np.flatnonzero(valid)
        order = order[np.argsort(image_row[order], kind="stable")]
        return cls(
            image_ids=image_ids,
            filenames=tuple(str(image.get("file_name", image["id"])) for image in images),
            sizes=sizes,
            annotation_ids=annotation_ids[order],
            image_row=image_row[order],
            boxes=corners[order].astype(np.float32),
            category_ids=category_ids[order],
            people=np.flatnonzero(category_ids[order] == PERSON_CATEGORY),
            dropped_ids=annotation_ids[~valid],
        )


def _check_instances(image_ids: IntArray, annotation_ids: IntArray, boxes: NDArray[np.float64]) -> None:
    """Raise ValueError where the official evaluator would go on and compute wrong figures."""
    if not len(image_ids):
        raise ValueError("the instances list no image")
    repeated = np.flatnonzero(np.diff(image_ids) == 0)
    if len(repeated):
        raise ValueError(f"image {image_ids[repeated[0]]} occurs twice in the instances")
    unusable = np.flatnonzero(~np.isfinite(boxes).all(axis=1))
    if len(unusable):
        raise ValueError(f"bbox of annotation {annotation_ids[unusable[0]]} is {boxes[unusable[0]].tolist()}")


def _clean_corners(boxes: NDArray[np.float64], sizes: IntArray) -> NDArray[np.float64]:
    """COCO [B, 4] xywh to ours, clipped as inclusive pixels to sizes [B, 2] (`clip_xyxy_to_image`)."""
    last = np.maximum(sizes - 1, 0)
    low = np.clip(boxes[:, :2], 0, last)
    high = np.clip(boxes[:, :2] + np.maximum(boxes[:, 2:] - 1, 0), 0, last)
    return np.concatenate([low, high + 1], axis=1)


def _look_up(known: IntArray, wanted: IntArray) -> IntArray:
    """Row of each wanted id in `known` (any order, unique), -1 where absent; int64."""
    if not len(known):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(known, kind="stable")
    rows = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
    return np.where(known[rows] == wanted, rows, -1)


def _label_people(
    entries: Sequence[dict[str, Any]], objects: _CocoObjects, path: Path, instances_path: Path
) -> tuple[NDArray[np.int8], IntArray]:
    """Labels int8 [P, A] and role boxes int64 [P, A, R] of all people."""
    person_ids = objects.annotation_ids[objects.people]
    labels = np.full((len(person_ids), len(entries)), -1, dtype=np.int8)
    role_box = np.full((len(person_ids), len(entries), NUM_ROLES), -1, dtype=np.int64)
    annotated = _look_up(person_ids, np.ravel(entries[0]["ann_id"]).astype(np.int64))
    labels[annotated[annotated >= 0]] = 0
    for action, entry in enumerate(entries):
        agents = np.ravel(entry["ann_id"]).astype(np.int64)
        _check_known(agents, objects, f"{path}: {entry['action_name']}", instances_path)
        person = _look_up(person_ids, agents)
        doing = (np.ravel(entry["label"]) == 1) & (person >= 0)
        labels[person[doing], action] = 1
        role_ids = np.ravel(entry["role_object_id"]).astype(np.int64).reshape(len(entry["role_name"]), -1)
        for role, ids in enumerate(role_ids[1:]):
            filled = doing & (ids != 0)
            _check_known(ids[filled], objects, f"{path}: {entry['action_name']}", instances_path)
            role_box[person[filled], action, role] = _look_up(objects.annotation_ids, ids[filled])
    return labels, role_box


def _check_known(ids: IntArray, objects: _CocoObjects, where: str, instances_path: Path) -> None:
    """Refuse annotation ids that the instances file does not hold."""
    unknown = ids[_look_up(objects.annotation_ids, ids) < 0]
    unknown = unknown[~np.isin(unknown, objects.dropped_ids)]
    if len(unknown):
        raise DataError(
            f"{where}: ann_id {unknown[0]} is not in {instances_path} (nor {len(unknown) - 1} more); "
            "give the COCO instances that V-COCO was made from (2014, train and val together)"
        )
