"""Folders as the downloads of HICO-DET and V-COCO unpack, small: real names, classes and pairs, generated pictures.

Names, sizes and pairs come from the real test annotations (the tests skip where those are absent), scaled down.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from tests.truth.real_ground_truth import real_ground_truth

COCO_NAMES = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]  # position = COCO's id
OTHER_ACTIONS = {"point": ("instr",), "run": (), "smile": (), "stand": (), "walk": ()}  # not in the JSON form


def draw(path: Path, size: tuple[int, int], seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=80)


def fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    scale = longest / max(size)
    return max(8, round(size[0] * scale)), max(8, round(size[1] * scale))


def inclusive(boxes: list, size: tuple[int, int], new: tuple[int, int]) -> list:
    """Scale 1-based inclusive boxes of an image of one size to another."""
    scale = np.tile(np.divide(new, size), 2)
    one = np.array([1, 1, 0, 0])
    scaled = np.round((np.array(boxes).reshape(-1, 4) - one) * scale) + one
    low = np.clip(scaled[:, :2], 1, new)
    return np.concatenate([low, np.clip(scaled[:, 2:], low, new)], 1).tolist()


def hicodet_download(folder: Path, num_train: int, num_test: int, *, longest: int = 160) -> Path:
    """The JSON form beside images/train2015 and images/test2015; the training images are further test images."""
    real = json.loads(real_ground_truth("hicodet", "instances_test2015.json").read_text())
    for split, rows in (("test", range(num_test)), ("train", range(num_test, num_test + num_train))):
        names, sizes, annotation = [], [], []
        for row in rows:
            names.append(real["filenames"][row].replace("test2015", f"{split}2015"))
            size = tuple(real["size"][row])
            sizes.append(list(fitted(size, longest)))
            entry = dict(real["annotation"][row])
            for key in ("boxes_h", "boxes_o"):
                entry[key] = inclusive(entry[key], size, sizes[-1])
            annotation.append(entry)
            draw(folder / "images" / f"{split}2015" / names[-1], tuple(sizes[-1]), row)
        form = real | {"filenames": names, "size": sizes, "annotation": annotation, "empty": []}
        (folder / f"instances_{split}2015.json").write_text(json.dumps(form))
    return folder


def vcoco_download(folder: Path, counts: dict[str, int], *, longest: int = 160, official: bool = True) -> Path:
    """Either form of V-COCO beside images/train2014 and images/val2014; counts has train, val, test."""
    forms = {}
    for split, count in counts.items():
        real = json.loads(real_ground_truth("vcoco", f"instances_vcoco_{split}.json").read_text())
        forms[split] = _cut(folder, real, count, longest)
    forms["trainval"] = forms["train"] | {
        key: forms["train"][key] + forms["val"][key] for key in ("annotations", "images", "sizes")
    }
    if not official:
        for split, form in forms.items():
            kept = {key: value for key, value in form.items() if key != "sizes"}
            (folder / f"instances_vcoco_{split}.json").write_text(json.dumps(kept))
        return folder
    _write_official(folder / "data", forms)
    return folder


def _cut(folder: Path, real: dict, count: int, longest: int) -> dict:
    """The first images with pairs of a split of the JSON form, scaled, their pictures drawn."""
    rows = [row for row, image in enumerate(real["annotations"]) if image["actions"]][:count]
    annotations, sizes = [], []
    for row in rows:
        image = real["annotations"][row]
        corners = np.array(image["boxes_h"] + image["boxes_o"])
        size = tuple(np.ceil(corners[:, 2:].max(0)).astype(int) + 1)
        new = fitted(size, longest)
        scale = np.tile(np.divide(new, size), 2)
        scaled = {key: (np.array(image[key]) * scale).tolist() for key in ("boxes_h", "boxes_o")}
        annotations.append(image | scaled)
        sizes.append(new)
        part = "train2014" if "train2014" in image["file_name"] else "val2014"
        draw(folder / "images" / part / image["file_name"], new, row)
    for part in ("train2014", "val2014"):
        (folder / "images" / part).mkdir(parents=True, exist_ok=True)
    return real | {"annotations": annotations, "images": [real["images"][row] for row in rows], "sizes": sizes}


def _write_official(folder: Path, forms: dict[str, dict]) -> None:
    """COCO instances of all images, and per split the 26 actions and the image ids."""
    instances: dict = {"images": [], "annotations": []}
    instances["categories"] = [
        {"id": row, "name": name} for row, name in enumerate(COCO_NAMES) if row and name != "N/A"
    ]
    (folder / "vcoco").mkdir(parents=True)
    (folder / "splits").mkdir()
    seen: set[int] = set()
    people: dict[int, list] = {}  # image id: (ann_id, {(action, role): ann_id})
    for form in forms.values():
        for image, image_id, size in zip(form["annotations"], form["images"], form["sizes"], strict=True):
            if image_id in seen:
                continue
            seen.add(image_id)
            width, height = map(int, size)
            instances["images"].append(
                {"id": image_id, "width": width, "height": height, "file_name": image["file_name"]}
            )
            people[image_id] = _people(instances["annotations"], image, image_id, form)
    (folder / "instances_vcoco_all_2014.json").write_text(json.dumps(instances))
    for split, form in forms.items():
        rows = [(image_id, *person) for image_id in form["images"] for person in people[image_id]]
        (folder / "vcoco" / f"vcoco_{split}.json").write_text(json.dumps(_entries(rows, form["classes"])))
        (folder / "splits" / f"vcoco_{split}.ids").write_text("".join(f"{image}\n" for image in form["images"]))


def _people(annotations: list, image: dict, image_id: int, form: dict) -> list:
    """COCO annotations of an image's boxes, and what each person does."""

    def annotation_of(box: list, name: str) -> int:
        category = COCO_NAMES.index(name)
        x1, y1, x2, y2 = box
        known = {(row["category_id"], *row["bbox"]): row["id"] for row in annotations if row["image_id"] == image_id}
        key = (category, x1, y1, x2 - x1, y2 - y1)
        if key not in known:
            area = (x2 - x1) * (y2 - y1)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "category_id": category, "bbox": list(key[1:]),
                 "area": area, "iscrowd": 0}
            )  # fmt: skip
            return len(annotations)
        return known[key]

    done: dict[int, dict] = {}
    for human, thing, verb, obj in zip(
        image["boxes_h"], image["boxes_o"], image["actions"], image["objects"], strict=True
    ):
        person = annotation_of(human, "person")
        action, role = form["classes"][verb].split(" ")
        done.setdefault(person, {})[action, role] = annotation_of(thing, form["objects"][obj])
    for person in list(done)[::2]:  # a role-less action, and a filled action with an empty role
        done[person]["stand", None] = 0
        done[person]["point", "instr"] = 0
    return list(done.items())


def _entries(rows: list, classes: list[str]) -> list[dict]:
    roles: dict[str, tuple] = {}
    for name in classes:
        action, role = name.split(" ")
        roles[action] = (*roles.get(action, ()), role)
    result = []
    for action, names in (roles | OTHER_ACTIONS).items():
        columns = [[person for _, person, _ in rows]]
        columns += [[done.get((action, role), 0) for _, _, done in rows] for role in names]
        result.append(
            {
                "action_name": action,
                "role_name": ["agent", *names],
                "ann_id": columns[0],
                "image_id": [image_id for image_id, _, _ in rows],
                "label": [int(any(key[0] == action for key in done)) for _, _, done in rows],
                "role_object_id": [value for column in columns for value in column],
            }
        )
    return result
