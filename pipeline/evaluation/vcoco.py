"""The V-COCO protocol: role AP in two scenarios, and agent AP.

Source: `vsrl_eval.py` of s-gupta/v-coco, `_do_role_eval` and `_do_agent_eval`. A detection goes to the person box of
its image with the highest IoU (first of equals), whatever the class. If nobody annotated that person, the detection is
dropped. Otherwise it is right if the person does the action, person IoU >= 0.5, the role passes, and the person is not
yet covered for this verb-role. AP is the area under the precision envelope.

A role passes where its box is annotated by IoU >= 0.5 in both scenarios. Where it is empty, scenario 1 wants an empty
prediction (all NaN or all zero), scenario 2 takes anything. Object category is never compared.

Ties of equal scores:
- `row_order` (default): the first row comes first.
- `official`: the order of `vsrl_eval.py` on machines where its sort is stable: scores are float32; the last row of an
  image claims a person first; in the ranked list the last image (highest id) comes first, its rows in order.

Axis legend: T detections, I images, P people, B boxes, A actions, R roles per action, S verb-roles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import box_iou
from pipeline.core.class_groups import mean_score
from pipeline.core.errors import DataError
from pipeline.core.types import IntArray
from pipeline.evaluation.average_precision import DoubleArray, average_precision, precision_recall
from pipeline.evaluation.matching import OVERLAP_THRESHOLD, best_in_group, first_claims
from pipeline.evaluation.ranges import check_range
from pipeline.evaluation.role_detections import RoleDetections, check_image_ids
from pipeline.truth.vcoco_annotations import LEFT_OUT, VCocoAnnotations

Ties = Literal["row_order", "official"]
TIES: tuple[str, ...] = get_args(Ties)


@dataclass(frozen=True)
class VCocoResult:
    """AP in 0..1, nan for a class without positives: role_s1 and role_s2 float64 [S], agent float64 [A].

    `num_met` counts the detections that overlap a person who does their action by IoU >= 0.5.
    """

    verb_roles: tuple[str, ...]
    actions: tuple[str, ...]
    role_s1: DoubleArray
    role_s2: DoubleArray
    agent: DoubleArray
    num_met: int

    @property
    def without_positives(self) -> str:
        """How many verb-roles and actions nobody is annotated with, for people; empty where there are none."""
        roles, actions = int(np.isnan(self.role_s1).sum()), int(np.isnan(self.agent).sum())
        if not roles + actions:
            return ""
        found = f"{roles} of {len(self.role_s1)} verb-roles and {actions} of {len(self.agent)} actions"
        return f"{found} have no annotated person"

    @property
    def usual(self) -> NDArray[np.bool_]:
        """Verb-roles of the usual mean: all but "point instr", bool [S]."""
        return np.array([name != LEFT_OUT for name in self.verb_roles], dtype=np.bool_)

    @property
    def ap_role_s1(self) -> float:
        """Mean role AP over 24 verb-roles, scenario 1."""
        return mean_score(self.role_s1[self.usual])

    @property
    def ap_role_s2(self) -> float:
        """Mean role AP over 24 verb-roles, scenario 2."""
        return mean_score(self.role_s2[self.usual])

    @property
    def ap_role_s1_25(self) -> float:
        """Mean role AP over all verb-roles, as the official file prints it, scenario 1."""
        return mean_score(self.role_s1)

    @property
    def ap_role_s2_25(self) -> float:
        """Mean role AP over all verb-roles, scenario 2."""
        return mean_score(self.role_s2)

    @property
    def ap_agent(self) -> float:
        """Mean agent AP over all actions."""
        return mean_score(self.agent)

    def figures(self, number: Callable[[float], float | None]) -> dict[str, Any]:
        """Role AP (over 24 verb-roles; over 25 as the official file prints), agent AP, and both by name.

        Args:
            number: makes the JSON value of an AP, which may be nan.
        """
        means = ("ap_role_s1", "ap_role_s2", "ap_role_s1_25", "ap_role_s2_25", "ap_agent")
        roles = zip(self.verb_roles, self.role_s1.tolist(), self.role_s2.tolist(), strict=True)
        return {
            **{name: number(getattr(self, name)) for name in means},
            "per_role": {name: {"s1": number(s1), "s2": number(s2)} for name, s1, s2 in roles},
            "per_agent": {name: number(ap) for name, ap in zip(self.actions, self.agent.tolist(), strict=True)},
        }


def evaluate_vcoco(detections: RoleDetections, annotations: VCocoAnnotations, ties: Ties = "row_order") -> VCocoResult:
    """Evaluate role detections.

    Args:
        ties: which of equal scores comes first, see the module's docstring.

    Raises:
        DataError: an image id, action or role is unknown.
    """
    _check_ranges(detections, annotations)
    detections = detections.take(~np.isnan(detections.scores))
    if ties == "official":
        detections = replace(detections, scores=detections.scores.astype(np.float32))
    person, agent_iou = _nearest_people(detections, annotations)
    annotated = (annotations.labels != -1).all(axis=1)
    kept = (person < 0) | annotated[person] if len(annotated) else np.ones(len(detections), dtype=np.bool_)
    detections, person, agent_iou = detections.take(kept), person[kept], agent_iou[kept]

    action = detections.action_id.astype(np.int64)
    agent_right = (person >= 0) & (agent_iou >= OVERLAP_THRESHOLD)
    agent_right[agent_right] = annotations.labels[person[agent_right], action[agent_right]] == 1
    positives = (annotations.labels == 1).sum(axis=0)  # [A]

    verb_roles = annotations.verb_roles
    with_role = np.flatnonzero((detections.role_index > 0) & (_num_roles(annotations)[action] > 0))
    role_id = annotations.verb_role_ids(verb_roles)[action[with_role], detections.role_index[with_role] - 1]
    of_roles = detections.take(with_role)
    passes = _role_passes(of_roles, person[with_role], annotations)
    role_positives = positives[[action for action, _ in verb_roles]]
    role_s1, role_s2 = (
        _ap(of_roles, role_id, person[with_role], agent_right[with_role] & passed, role_positives, ties)
        for passed in passes
    )
    return VCocoResult(
        verb_roles=tuple(annotations.verb_role_name(*verb_role) for verb_role in verb_roles),
        actions=annotations.actions,
        role_s1=role_s1,
        role_s2=role_s2,
        agent=_ap(detections, action, person, agent_right, positives, ties),
        num_met=int(agent_right.sum()),
    )


def _num_roles(annotations: VCocoAnnotations) -> IntArray:
    """Roles of each action besides the agent, int64 [A]."""
    return np.array([len(names) for names in annotations.roles], dtype=np.int64)


def _nearest_people(detections: RoleDetections, annotations: VCocoAnnotations) -> tuple[IntArray, DoubleArray]:
    """Person with the highest IoU among all of the image (-1 if it shows none) and that IoU, [T] each."""
    image = np.searchsorted(annotations.image_ids, detections.image_id)
    starts = np.searchsorted(annotations.person_image, np.arange(len(annotations) + 1))
    person_boxes = annotations.boxes[annotations.person_box]
    return best_in_group(detections.human_boxes, person_boxes, starts[image], starts[image + 1])


def _role_passes(
    detections: RoleDetections, person: IntArray, annotations: VCocoAnnotations
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the role box is right for that person in scenarios 1 and 2, bool [T] each."""
    if not len(annotations.person_box):
        nobody = np.zeros(len(detections), dtype=np.bool_)
        return nobody, nobody
    wanted = annotations.role_box[person, detections.action_id, detections.role_index - 1]
    filled = np.flatnonzero(wanted >= 0)
    overlap = box_iou(
        annotations.boxes[wanted[filled]].astype(np.float64), detections.role_boxes[filled].astype(np.float64)
    )
    scenario_2 = np.ones(len(detections), dtype=np.bool_)
    scenario_2[filled] = overlap >= OVERLAP_THRESHOLD  # False for NaN
    empty = np.isnan(detections.role_boxes).all(axis=1) | (detections.role_boxes == 0).all(axis=1)
    return np.where(wanted >= 0, scenario_2, empty), scenario_2


def _ap(
    detections: RoleDetections,
    class_id: IntArray,
    person: IntArray,
    right: NDArray[np.bool_],
    positives: IntArray,
    ties: Ties,
) -> DoubleArray:
    """AP of each class, float64 [number of classes]: of the right detections, the first to cover a person hits."""
    num_classes = len(positives)
    claiming, ranked = _orders(detections, class_id, ties)
    covered = np.where(right, person * num_classes + class_id, -1)[claiming]
    hits = claiming[first_claims(covered, (int(person.max(initial=-1)) + 1) * num_classes)]
    place = np.empty(len(ranked), np.int64)
    place[ranked] = np.arange(len(ranked))
    hit_positions = np.sort(place[hits])
    hit_class = class_id[ranked[hit_positions]]
    num_detections = np.bincount(class_id, minlength=num_classes)
    rank = hit_positions - (np.cumsum(num_detections) - num_detections)[hit_class] + 1
    precision, recall = precision_recall(hit_class, rank, positives)
    return average_precision(hit_class, precision, recall, positives, "all_points")


def _orders(detections: RoleDetections, class_id: IntArray, ties: Ties) -> tuple[IntArray, IntArray]:
    """Rows [T] by class and falling score, in the order in which they claim people, and in which they are ranked."""
    scores = detections.scores
    if ties == "row_order":
        order = np.lexsort((-scores, class_id))
        return order, order
    last_row_first = np.arange(len(detections))[::-1]
    last_image_first = np.argsort(-detections.image_id, kind="stable")
    claiming, ranked = (
        rows[np.lexsort((-scores[rows], class_id[rows]))] for rows in (last_row_first, last_image_first)
    )
    return claiming, ranked


def _check_ranges(detections: RoleDetections, annotations: VCocoAnnotations) -> None:
    check_image_ids(detections, annotations.image_ids, "detections")
    num_roles = _num_roles(annotations)
    check_range(detections.action_id, len(num_roles), "detections: action_id", "actions")
    most = num_roles[detections.action_id]
    wrong = (most > 0) & ((detections.role_index < 0) | (detections.role_index > most))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        action = int(detections.action_id[row])
        raise DataError(
            f"detections: role_index {detections.role_index[row]} in row {row} is out of range; "
            f'action {action} "{annotations.actions[action]}" has roles 0..{num_roles[action]} (0 = the agent)'
        )
