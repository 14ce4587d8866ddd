"""The two protocols on plain arrays: checked, converted, scored; figures as `weakhoi evaluate-detections` writes them.

Annotations are arrays too, or the official files. No torch is imported.

Axis legend: T detections, G annotated pairs, I images, H HOI classes, P people, A actions, R roles per action.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Form
from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import Detections, check_boxes
from pipeline.evaluation.detections_file import (
    HICODET_COLUMNS,
    INTEGER,
    check_columns,
    check_hicodet_detections,
    narrowed,
)
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.hicodet import Rules, Setting
from pipeline.evaluation.ranges import check_range
from pipeline.evaluation.role_detections import RoleDetections, check_role_boxes
from pipeline.evaluation.vcoco import TIES, Ties, evaluate_vcoco
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.hicodet_annotations import read_hicodet_json
from pipeline.truth.hicodet_mat import read_hicodet_mat
from pipeline.truth.vcoco_annotations import NUM_ROLES, VCocoAnnotations, read_vcoco

Columns = Mapping[str, Any]  # arrays, or lists of numbers, by name
_FLOAT = np.floating  # of any width, as INTEGER


def hicodet_figures(detections: Columns, annotations: Columns | str | os.PathLike[str], setting: str) -> dict[str, Any]:
    """mAP of HICO-DET; arguments and result as `weakhoi.evaluate_hicodet`.

    Raises:
        DataError: an array is missing, or of another form, or holds ids, boxes or scores that cannot be.
        ParamError: an unknown setting.
    """
    if isinstance(annotations, Mapping):
        truth, object_ids, rare = _hicodet_truth(annotations)
        sizes = None
    else:
        path = Path(annotations)
        read = read_hicodet_mat(path, "test") if path.suffix == ".mat" else read_hicodet_json(path)
        truth, object_ids, rare, sizes = read.truth, read.vocabulary.hoi_object_ids, read.rare, read.sizes
    rules = Rules(object_ids, cast(Setting, setting))  # checked by what it is given to
    found = Detections(**_triplets(detections, HICODET_COLUMNS, "detections", truth.num_images, rules.num_hois))
    if sizes is not None:
        check_hicodet_detections(found, sizes, rules.num_hois, "detections")
    groups = {} if rare is None else {"rare": rare, "non_rare": ~rare}
    return evaluate_hicodet(found, truth, rules).figures(ClassGroups.of(rules.num_hois, groups), number_or_none)


def vcoco_figures(
    detections: Columns,
    annotations: Columns | str | os.PathLike[str],
    instances: str | os.PathLike[str] | None,
    ties: str,
) -> dict[str, Any]:
    """AP of V-COCO; arguments and result as `weakhoi.evaluate_vcoco`.

    Raises:
        DataError: as `hicodet_figures`.
        ParamError: unknown ties, or the official file without COCO's instances.
    """
    if ties not in TIES:
        raise ParamError(f'ties "{ties}" is unknown{did_you_mean(ties, TIES)}; expected one of {TIES}')
    if isinstance(annotations, Mapping):
        people, sizes = _people(annotations), None
    elif instances is None:
        raise ParamError("instances is missing; V-COCO's boxes are in COCO's instances.json, give its path")
    else:
        people = read_vcoco(Path(annotations), Path(instances))
        sizes = people.sizes
    forms = {name: Form(INTEGER, ("T",)) for name in ("image_id", "action_id", "role_index")}
    forms |= {
        "human_boxes": Form(_FLOAT, ("T", 4)),
        "role_boxes": Form(_FLOAT, ("T", 4)),
        "scores": Form(_FLOAT, ("T",)),
    }
    columns = _columns(detections, forms, "detections")
    check_range(columns["action_id"], len(people.actions), "detections: action_id", "actions")
    check_range(columns["role_index"], NUM_ROLES + 1, "detections: role_index", "roles, 0 is the agent")
    whole = {"image_id": np.int64, "action_id": np.int16, "role_index": np.int16}
    found = RoleDetections(**{name: column.astype(whole.get(name, np.float64)) for name, column in columns.items()})
    if sizes is not None:
        check_role_boxes(found, people.image_ids, sizes, "detections")
    return evaluate_vcoco(found, people, cast(Ties, ties)).figures(number_or_none)


def number_or_none(value: float) -> float | None:
    """An AP as a JSON value, which has no nan: None."""
    return None if value != value else value


def _columns(given: Any, forms: Mapping[str, Form], where: str) -> dict[str, NDArray[Any]]:
    """Arrays of the expected forms, by name; of other widths than they are to have."""
    names = ", ".join(forms)
    if not isinstance(given, Mapping):
        raise DataError(f"{where}: found a {type(given).__name__}; expected arrays by name: {names}")
    if missing := [name for name in forms if name not in given]:
        near = did_you_mean(missing[0], map(str, given))
        raise DataError(f'{where}: no "{missing[0]}"{near}; found {", ".join(map(str, given))}; expected {names}')
    arrays = {name: np.asarray(given[name]) for name in forms}
    check_columns(arrays, forms, where, convertible=True)
    return arrays


def _triplets(
    given: Any, forms: Mapping[str, Form], where: str, num_images: int, num_hois: int
) -> dict[str, NDArray[Any]]:
    """Columns of triplets or of annotated pairs, checked, in the types of their records."""
    columns = narrowed(_columns(given, forms, where), num_images, num_hois, where)
    for name in ("human_boxes", "object_boxes"):
        check_boxes(columns[name], f"{where}: {name}")
    return columns


def _hicodet_truth(given: Columns) -> tuple[GroundTruth, NDArray[np.int64], NDArray[np.bool_] | None]:
    """Annotated pairs, object category of each class, and which classes are rare where that is given."""
    where = "annotations"
    object_ids = _columns(given, {"hoi_object_ids": Form(INTEGER, ("H",))}, where)["hoi_object_ids"].astype(np.int64)
    num_hois, num_images = len(object_ids), _columns(given, {"num_images": Form(INTEGER, ())}, where)["num_images"]
    rare, shown = (None if given.get(name) is None else np.asarray(given[name]) for name in ("rare", "image_hois"))
    if rare is not None and (rare.dtype != np.bool_ or rare.shape != (num_hois,)):
        raise DataError(f"{where}: rare is {rare.dtype} {list(rare.shape)}; expected bool [H = {num_hois}]")
    forms = {name: form for name, form in HICODET_COLUMNS.items() if name != "scores"}
    pairs: dict[str, Any] = _triplets(given, forms, where, int(num_images), num_hois)
    if shown is not None and shown.shape != (num_images, num_hois):
        expected = f"{num_images} images x {num_hois} HOI classes"
        raise DataError(f"image_hois: shape {shown.shape}, expected {expected}")
    labels = None if shown is None else LabelRows.of_mask(shown)
    truth = GroundTruth(**pairs, num_images=int(num_images), image_hois=labels)
    return truth, object_ids, rare


def _people(given: Columns) -> VCocoAnnotations:
    """People with their labels and the boxes of their roles, as the protocol has them: by image, in the given order."""
    where = "annotations"
    forms = {"image_ids": Form(INTEGER, ("I",)), "image_id": Form(INTEGER, ("P",)), "boxes": Form(_FLOAT, ("P", 4))}
    forms |= {"labels": Form(INTEGER, ("P", "A")), "role_boxes": Form(_FLOAT, ("P", "A", "R", 4))}
    columns = _columns(given, forms, where)
    roles = given.get("roles")
    num_actions, num_roles = columns["role_boxes"].shape[1:3]
    if not isinstance(roles, Mapping) or len(roles) != num_actions or any(len(r) > num_roles for r in roles.values()):
        raise DataError(
            f"{where}: roles is {roles!r:.80}; expected the names of each action's roles in the order of labels, "
            f'at most {num_roles} for each of {num_actions} actions: {{"hold": ["obj"], "walk": []}}'
        )
    image_ids = np.unique(columns["image_ids"].astype(np.int64))
    order = np.argsort(columns["image_id"], kind="stable")
    image_id = columns["image_id"].astype(np.int64)[order]
    if len(strange := np.setdiff1d(image_id, image_ids)):
        raise DataError(f"{where}: image_id {strange[0]} is not among image_ids")
    check_boxes(columns["boxes"], f"{where}: boxes")
    role_boxes = columns["role_boxes"].astype(np.float32)[order]
    filled = ~np.isnan(role_boxes).all(axis=-1)  # [P, A, R]
    check_boxes(role_boxes[filled], f"{where}: role_boxes that are filled")
    role_box = np.full(filled.shape, -1, np.int64)
    role_box[filled] = len(order) + np.arange(int(filled.sum()))
    return VCocoAnnotations(
        image_ids=image_ids,
        filenames=tuple(map(str, image_ids.tolist())),
        sizes=np.zeros((len(image_ids), 2), np.int64),  # read by no protocol
        boxes=np.concatenate([columns["boxes"].astype(np.float32)[order], role_boxes[filled]]),
        category_ids=np.zeros(len(order) + int(filled.sum()), np.int64),
        person_image=np.searchsorted(image_ids, image_id),
        person_box=np.arange(len(order)),
        labels=columns["labels"].astype(np.int8)[order],
        role_box=role_box,
        actions=tuple(roles),
        roles=tuple(tuple(names) for names in roles.values()),
        categories={},
    )
