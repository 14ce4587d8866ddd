"""The JSON forms of HICO-DET and V-COCO rewritten into the community's form, as PPDM and QPIC publish it."""

from __future__ import annotations

from pipeline.data.coco_categories import COCO_91

_IDS = {name: row for row, name in COCO_91.items()}
_QPIC = (
    "hold_obj", "stand", "sit_instr", "ride_instr", "walk", "look_obj", "hit_instr", "hit_obj", "eat_obj", "eat_instr",
    "jump_instr", "lay_instr", "talk_on_phone_instr", "carry_obj", "throw_obj", "catch_obj", "cut_instr", "cut_obj",
    "run", "work_on_computer_instr", "ski_instr", "surf_instr", "skateboard_instr", "smile", "drink_instr", "kick_obj",
    "point_instr", "read_obj", "snowboard_instr",
)  # fmt: skip


def hicodet_as_community(form: dict) -> list[dict]:
    """Ids as text with a line end, as in PPDM's files; each pair has two boxes of its own."""
    names = [name.replace("_", " ") for name in form["objects"]]
    images = []
    for filename, entry in zip(form["filenames"], form["annotation"], strict=True):
        columns = _columns(entry, "object", "verb")
        images.append(
            _image(filename, [(human, thing, _IDS[names[obj]], verb + 1) for human, thing, obj, verb in columns])
        )
    return images


def vcoco_as_community(form: dict) -> list[dict]:
    """With a person who stands and one who points at nothing, as QPIC lists actions without object."""
    verbs = [_QPIC.index(name.replace(" ", "_")) for name in form["classes"]]
    images = []
    for entry in form["annotations"]:
        pairs = [
            (human, thing, _IDS[form["objects"][obj]], verbs[action])
            for human, thing, obj, action in _columns(entry, "objects", "actions")
        ]
        image = _image(entry["file_name"], pairs)
        if pairs:
            image["hoi_annotation"] += [
                {"subject_id": 0, "object_id": -1, "category_id": _QPIC.index("stand")},
                {"subject_id": 0, "object_id": 1, "category_id": _QPIC.index("point_instr")},
            ]
        images.append(image)
    return images


def _columns(entry: dict, *names: str) -> zip:
    return zip(*(entry[name] for name in ("boxes_h", "boxes_o", *names)), strict=True)


def _image(filename: str, pairs: list[tuple]) -> dict:
    boxes, rows = [], []
    for human, thing, category, verb in pairs:
        rows.append({"subject_id": len(boxes), "object_id": len(boxes) + 1, "category_id": f"{verb}\n"})
        boxes += [{"bbox": human, "category_id": "1\n"}, {"bbox": thing, "category_id": category}]
    return {"file_name": filename, "img_id": 0, "annotations": boxes, "hoi_annotation": rows}
