"""Small V-COCO worlds: the official file's form, COCO instances, and detections of both, on whole pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipeline.evaluation.role_detections import RoleDetections
from pipeline.truth.vcoco_annotations import VCocoAnnotations, read_vcoco

ACTIONS = (("hold", ("obj",)), ("walk", ()), ("cut", ("instr", "obj")), ("point", ("instr",)))
NOTHING = (np.nan,) * 4


def instances(num_images: int, objects: list[tuple]) -> dict:
    """COCO instances of 100 x 100 images 10, 20, ... from (ann_id, image_id, category, xyxy box) rows."""
    return {
        "images": [
            {"id": 10 * i, "width": 100, "height": 100, "file_name": f"{10 * i}.jpg"} for i in range(1, num_images + 1)
        ],
        "annotations": [
            {
                "id": ann_id,
                "image_id": image_id,
                "category_id": category,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            for ann_id, image_id, category, (x1, y1, x2, y2) in objects
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}],
    }


def entries(people: list[tuple], actions=ACTIONS) -> list[dict]:
    """The official file from (ann_id, image_id, {action: role ann_ids}) rows; 0 is an empty role."""
    result = []
    for name, roles in actions:
        ann_ids = [ann_id for ann_id, _, _ in people]
        columns = [ann_ids] + [
            [done[name][role] if name in done else 0 for _, _, done in people] for role in range(len(roles))
        ]
        result.append(
            {
                "action_name": name,
                "role_name": ["agent", *roles],
                "ann_id": ann_ids,
                "image_id": [image_id for _, image_id, _ in people],
                "label": [int(name in done) for _, _, done in people],
                "role_object_id": [value for column in columns for value in column],
                "include": [[] for _ in range(len(roles) + 1)],
            }
        )
    return result


def write_files(folder: Path, official: object, world: dict) -> tuple[Path, Path]:
    """Write the official file and the instances."""
    paths = folder / "vcoco.json", folder / "instances.json"
    for path, content in zip(paths, (official, world), strict=True):
        path.write_text(json.dumps(content))
    return paths


def annotations(folder: Path, people: list[tuple], world: dict) -> VCocoAnnotations:
    """Write both files and read them."""
    return read_vcoco(*write_files(folder, entries(people), world))


def role_detections(rows: list[tuple]) -> RoleDetections:
    """Detections from (image_id, action, role_index, human box, role box, score) rows."""
    images, actions, roles, humans, boxes, scores = zip(*rows, strict=True) if rows else ([],) * 6
    return RoleDetections(
        np.array(images, np.int64),
        np.array(actions, np.int16),
        np.array(roles, np.int16),
        np.array(humans, np.float32).reshape(-1, 4),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
    )


def random_world(seed: int, num_rows: int = 150) -> tuple[list[tuple], dict, list[tuple]]:
    """People, instances and detection rows; image 60 has no object at all, some people are not annotated."""
    rng = np.random.default_rng(seed)
    objects, people = [], []
    for ann_id in range(1, 26):
        corner = rng.integers(0, 60, 2)
        box = (*corner.tolist(), *(corner + rng.integers(1, 40, 2)).tolist())
        objects.append((ann_id, int(rng.integers(1, 6)) * 10, int(ann_id > 15) + 1, box))
    valid = {row[0] for row in objects if row[3][2] - row[3][0] > 1 and row[3][3] - row[3][1] > 1}
    for ann_id, image_id, category, _ in objects:
        if category == 1 and rng.random() < 0.8:
            things = [0] + [row[0] for row in objects if row[1] == image_id and row[0] in valid]
            done = {
                name: tuple(int(rng.choice(things)) for _ in roles) for name, roles in ACTIONS if rng.random() < 0.6
            }
            people.append((ann_id, image_id, done))
    rows = []
    for _ in range(num_rows):
        _, image_id, _, human = objects[rng.integers(15)]
        role = objects[rng.integers(25)][3]
        jitter = rng.integers(-3, 4, 8)
        human, role = np.array(human) + jitter[:4], np.array(role) + jitter[4:]
        human[2:], role[2:] = np.maximum(human[2:], human[:2] + 1), np.maximum(role[2:], role[:2] + 1)
        if rng.random() < 0.3:
            role = np.array(NOTHING if rng.random() < 0.5 else (0, 0, 0, 0))
        action = int(rng.integers(len(ACTIONS)))
        role_index = int(rng.integers(1, len(ACTIONS[action][1]) + 1)) if ACTIONS[action][1] else 0
        score = float(rng.integers(0, 8)) / 8 if rng.random() < 0.95 else float("nan")
        rows.append((60 if rng.random() < 0.03 else image_id, action, role_index, human, role, score))
    return people, instances(6, objects), rows
