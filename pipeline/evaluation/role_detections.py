"""Detections of the V-COCO protocol: the record, its checks, and how scored triplets become role detections.

The vocabulary's verbs are verb-roles ("hold obj", "cut instr"), so each triplet is one role detection, with the object
box as the role's. Every prediction has an object: people whose role is empty, and actions without a role ("walk"),
are never predicted, and count as missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.image_bounds import check_inside
from pipeline.core.types import Detections, IntArray, check_boxes
from pipeline.core.vocabulary import Vocabulary
from pipeline.truth.vcoco_annotations import VCocoAnnotations


@dataclass(frozen=True)
class RoleDetections:
    """Flat role detections: image_id int64 [T] (COCO ids), action_id int16 [T], role_index int16 [T], boxes [T, 4].

    `role_index` is the column of role_name: 1 is the first role after the agent; 0, the agent alone, counts for agent
    AP only. Actions without roles ("walk") take any value. `role_boxes` are all NaN where no box is predicted. Scores
    float [T]; a NaN score drops its row. Row order breaks ties. Each row is one detection of its role, and one of its
    agent.
    """

    image_id: IntArray
    action_id: NDArray[np.int16]
    role_index: NDArray[np.int16]
    human_boxes: NDArray[np.floating]
    role_boxes: NDArray[np.floating]
    scores: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[np.bool_] | IntArray) -> RoleDetections:
        """Selected rows."""
        return RoleDetections(**{name: column[rows] for name, column in vars(self).items()})

    @classmethod
    def of_triplets(
        cls, detections: Detections, vocabulary: Vocabulary, annotations: VCocoAnnotations
    ) -> RoleDetections:
        """One row per triplet, in their order; their image_index refers to the images of `annotations`.

        Raises:
            DataError: a verb of the vocabulary is no verb-role of the annotations.
        """
        known = {annotations.verb_role_name(*verb_role): verb_role for verb_role in annotations.verb_roles}
        for verb in vocabulary.verbs:
            if verb not in known:
                raise DataError(
                    f'V-COCO protocol: verb "{verb}" is no action with a role{did_you_mean(verb, known)}; '
                    'expected verbs such as "hold obj" (evaluate.protocol is for vcoco only)'
                )
        table = np.array([known[verb] for verb in vocabulary.verbs], dtype=np.int16).reshape(-1, 2)
        verb_role = table[vocabulary.hoi_verb_ids[detections.hoi_id]]
        return cls(
            image_id=annotations.image_ids[detections.image_index],
            action_id=verb_role[:, 0],
            role_index=verb_role[:, 1] + np.int16(1),  # column 0 of role_name is the agent
            human_boxes=detections.human_boxes,
            role_boxes=detections.object_boxes,
            scores=detections.scores,
        )


def check_image_ids(detections: RoleDetections, image_ids: IntArray, where: str) -> None:
    """Refuse images that are not among `image_ids`, int64 [I].

    Raises:
        DataError: starts with `where` and names the first bad row.
    """
    unknown = np.flatnonzero(~np.isin(detections.image_id, image_ids))
    if len(unknown):
        row = int(unknown[0])
        raise DataError(
            f"{where}: image_id {detections.image_id[row]} in row {row} is not among the {len(image_ids)} images of "
            "the instances file; expected COCO image ids"
        )


def check_role_boxes(detections: RoleDetections, image_ids: IntArray, sizes: IntArray, where: str) -> None:
    """Refuse unknown images, and boxes that are not finite, inverted or outside; role boxes may be all NaN.

    Args:
        image_ids: of the annotated images, int64 [I], ascending.
        sizes: their width and height, int64 [I, 2].

    Raises:
        DataError: starts with `where` and names the first bad row.
    """
    check_image_ids(detections, image_ids, where)
    predicted = ~np.isnan(detections.role_boxes).all(axis=1)
    role_boxes = np.where(predicted[:, None], detections.role_boxes, 0)
    image_sizes = sizes[np.searchsorted(image_ids, detections.image_id)]
    for name, boxes in (("human_boxes", detections.human_boxes), ("role_boxes", role_boxes)):
        check_boxes(boxes, f"{where}: {name}")
        check_inside(boxes, image_sizes, f"{where}: {name}")
