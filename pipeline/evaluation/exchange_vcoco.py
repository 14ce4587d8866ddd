"""V-COCO's pickles of detections: the official one of `vsrl_eval.py`, and UPT's `cache.pkl`; read and written.

Official: a list of dicts, one per person (here: per human-object pair): image_id, person_box, "<action>_agent": score
of every action, "<action>_<role>": box and score [5] of every role. NaN scores are dropped by the evaluator. Boxes are
inclusive pixels [x1, y1, x2, y2]; ours are continuous, so that x2 and y2 differ by one.

UPT's (SCG's, PViC's, ADA-CM's): the same keys in a class of its own, one object per pair and action, with the keys of
that action alone; an absent key means score 0 (and a tiny box), which the evaluator counts. Boxes are continuous.

The evaluator stops at an action or role that is left with no score at all, and at detections of an image without
people. So the last dict of the official form scores everything 0, at a pixel beside an image whose first person is
annotated: a false positive behind all others, which changes no AP. Rows of images without people are for `on_people` to
leave out.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import IntArray
from pipeline.evaluation.exchange_hicodet import ONE_PIXEL, to_inclusive
from pipeline.evaluation.role_detections import RoleDetections, check_role_boxes
from pipeline.store.files import atomic_path
from pipeline.store.restricted_pickle import read_restricted_pickle
from pipeline.store.targets import check_replaceable
from pipeline.truth.vcoco_annotations import VCocoAnnotations

_NOTHING = [float("nan")] * 5
_BESIDE_THE_IMAGE = [-1.0] * 4  # a pixel that overlaps nothing: the evaluator takes it to the image's first person


class CacheTemplate(dict[str, Any]):
    """Stand-in for the class of that name in UPT's `utils`: a dict that says what an absent key means."""

    __slots__ = ()

    def __missing__(self, key: str) -> float | list[float]:
        if key in ("image_id", "person_box"):
            raise KeyError(key)
        return 0.0 if key.endswith("_agent") else [0.0, 0.0, 0.1, 0.1, 0.0]


_STAND_INS = {CacheTemplate.__name__: CacheTemplate}


def on_people(detections: RoleDetections, annotations: VCocoAnnotations) -> RoleDetections:
    """Return the rows of images that show a person's box: what the official evaluator can take."""
    return detections.take(np.isin(detections.image_id, annotations.image_ids[annotations.person_image]))


def write_vcoco_pickle(path: Path, detections: RoleDetections, annotations: VCocoAnnotations) -> int:
    """Write role detections; an action's agent score is the best of its roles'. Returns the number of pairs.

    Raises:
        DataError: anything but an earlier export is there.
    """
    check_pickle_target(path)
    blank = _every_key(annotations, float("nan"), _NOTHING)
    people: dict[int, dict[str, Any]] = {}
    humans = to_inclusive(detections.human_boxes).tolist()
    things = np.where(_is_none(detections.role_boxes), 0.0, to_inclusive(detections.role_boxes)).tolist()
    columns = (detections.image_id, detections.action_id, detections.role_index, detections.scores)
    for row, (pair, image_id, action_id, role_index, score) in enumerate(
        zip(_pair_ids(detections).tolist(), *(column.tolist() for column in columns), strict=True)
    ):
        person = people.setdefault(pair, {"image_id": image_id, "person_box": humans[row], **blank})
        action = annotations.actions[action_id]
        person[f"{action}_agent"] = float(np.fmax(person[f"{action}_agent"], score))
        if role_index > 0 and annotations.roles[action_id]:
            person[f"{action}_{annotations.roles[action_id][role_index - 1]}"] = [*things[row], score]
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        pickle.dump([*people.values(), *_last_of_all(annotations)], stream, protocol=2)
    return len(people)


def write_upt_cache(path: Path, detections: RoleDetections, annotations: VCocoAnnotations) -> None:
    """Write role detections in UPT's form, one object per row; rows with a NaN score are left out.

    Raises:
        DataError: anything but an earlier export is there.
    """
    check_pickle_target(path)
    rows = detections.take(~np.isnan(detections.scores))
    people = []
    for image_id, action_id, role_index, human, box, score in zip(
        *(column.tolist() for column in vars(rows).values()), strict=True
    ):
        action, roles = annotations.actions[action_id], annotations.roles[action_id]
        person = CacheTemplate({"image_id": image_id, "person_box": human, f"{action}_agent": score})
        if role_index > 0 and roles:
            person[f"{action}_{roles[role_index - 1]}"] = [*box, score]
        people.append(person)
    ours, theirs = f"c{__name__}\nCacheTemplate\n".encode(), b"cutils\nCacheTemplate\n"
    data = pickle.dumps(people, protocol=2)  # which names a class in plain text, where it first occurs
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.replace(ours, theirs, 1))


def check_pickle_target(path: Path) -> None:
    """Refuse a path that can't be written, or that holds anything but such a pickle.

    Raises:
        DataError, ArtifactError: as `check_replaceable`.
    """
    check_replaceable(path, _is_export, what="V-COCO detections", option="--output")


def _every_key(annotations: VCocoAnnotations, agent: float, role_box: list[float]) -> dict[str, Any]:
    """A score for every action and a box with score [5] for every role, by the evaluator's keys."""
    every: dict[str, Any] = {f"{action}_agent": agent for action in annotations.actions}
    for action, roles in zip(annotations.actions, annotations.roles, strict=True):
        every |= {f"{action}_{role}": role_box for role in roles}
    return every


def _last_of_all(annotations: VCocoAnnotations) -> list[dict[str, Any]]:
    """The dict that scores everything 0; none where no image's first person is annotated."""
    first = np.unique(annotations.person_image, return_index=True)[1]
    annotated = first[(annotations.labels[first] != -1).all(axis=1)]
    if not len(annotated):
        return []
    image_id = int(annotations.image_ids[annotations.person_image[annotated[0]]])
    nothing = _every_key(annotations, 0.0, [0.0] * 5)
    return [{"image_id": image_id, "person_box": _BESIDE_THE_IMAGE, **nothing}]


def _is_export(path: Path) -> bool:
    """Whether a file is such a pickle, of whatever split."""
    try:
        data = read_restricted_pickle(path, _STAND_INS)
    except DataError:
        return False
    keys = {"image_id", "person_box"}
    return isinstance(data, list) and all(isinstance(row, dict) and keys <= row.keys() for row in data)


def _pair_ids(detections: RoleDetections) -> IntArray:
    """Number of each row's pair, int64 [T]: a pair is an image and two boxes; a verb-role that occurs n times on those
    makes n pairs."""
    boxes = np.concatenate([detections.human_boxes, detections.role_boxes], 1, dtype=np.float64)
    keys = np.concatenate([detections.image_id[:, None].astype(np.float64), np.nan_to_num(boxes, nan=-1.0)], 1)
    place = np.unique(keys, axis=0, return_inverse=True)[1].ravel() if len(keys) else np.zeros(0, np.int64)
    same = np.stack([place, detections.action_id.astype(np.int64), detections.role_index.astype(np.int64)])
    order = np.lexsort(same[::-1])
    starts = np.r_[True, (np.diff(same[:, order]) != 0).any(0)] if len(keys) else np.zeros(0, np.bool_)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    repeat = np.empty(len(order), np.int64)
    repeat[order] = np.arange(len(order)) - first
    return place * (int(repeat.max(initial=0)) + 1) + repeat


def read_vcoco_pickle(path: Path, annotations: VCocoAnnotations) -> tuple[RoleDetections, RoleDetections]:
    """Read role detections and agent detections (role_index 0) of either form; NaN scores are left out.

    Raises:
        DataError: not such a list, a key of the evaluator's missing, an unknown image, boxes of scored rows that are
            not finite, inverted or outside their image.
    """
    data = read_restricted_pickle(path, _STAND_INS)
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise DataError(f"{path}: holds a {type(data).__name__}; expected a list of dicts, one per person")
    inclusive = np.array([not isinstance(entry, CacheTemplate) for entry in data], np.bool_)
    missing_pixel = inclusive[:, None] * ONE_PIXEL
    try:
        image_id = np.array([int(entry["image_id"]) for entry in data], np.int64)
        humans = np.array([entry["person_box"] for entry in data], np.float64).reshape(-1, 4) + missing_pixel
        agent_columns, role_columns = [], []
        for action_id, (action, roles) in enumerate(zip(annotations.actions, annotations.roles, strict=True)):
            scores = np.array([entry[f"{action}_agent"] for entry in data], np.float64).ravel()
            agent_columns.append((action_id, 0, np.full((len(data), 4), np.nan), scores))
            for role_index, role in enumerate(roles, start=1):
                found = np.array([entry[f"{action}_{role}"] for entry in data], np.float64).reshape(-1, 5)
                boxes = np.where(_is_none(found[:, :4]), 0.0, found[:, :4] + missing_pixel)
                role_columns.append((action_id, role_index, boxes, found[:, 4]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: not V-COCO's official form ({error!r} missing or wrong)") from None
    both = _stacked(image_id, humans, role_columns), _stacked(image_id, humans, agent_columns)
    for detections in both:
        check_role_boxes(detections, annotations.image_ids, annotations.sizes, str(path))
    return both


def _is_none(boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which boxes [T, 4] are all zero: "none" to the evaluator, as NaN is, bool [T, 1]."""
    return np.asarray((boxes == 0).all(1, keepdims=True))


_Column = tuple[int, int, NDArray[np.float64], NDArray[np.float64]]  # action, role index, role boxes, scores


def _stacked(image_id: IntArray, humans: NDArray[np.float64], columns: list[_Column]) -> RoleDetections:
    """Rows by person, then by column, without NaN scores."""
    size, count = len(image_id), len(columns)
    scores = np.stack([column[3] for column in columns], 1).ravel() if count else np.zeros(0)
    rows = RoleDetections(
        image_id=np.repeat(image_id, count),
        action_id=np.tile(np.array([column[0] for column in columns], np.int16), size),
        role_index=np.tile(np.array([column[1] for column in columns], np.int16), size),
        human_boxes=np.repeat(humans, count, axis=0),
        role_boxes=np.stack([column[2] for column in columns], 1).reshape(-1, 4) if count else np.zeros((0, 4)),
        scores=scores,
    )
    return rows.take(~np.isnan(scores))
