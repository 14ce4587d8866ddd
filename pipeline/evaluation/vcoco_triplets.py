"""From scored triplets of HOI classes to the role detections of the V-COCO protocol.

The vocabulary's verbs are verb-roles ("hold obj", "cut instr"), so each triplet is one role detection, with the object
box as the role's. Every prediction has an object: people whose role is empty, and actions without a role ("walk"),
are never predicted, and count as missed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.types import Detections
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.summary import percent
from pipeline.evaluation.vcoco import RoleDetections, VCocoResult
from pipeline.truth.vcoco_annotations import VCocoAnnotations


def role_detections(detections: Detections, vocabulary: Vocabulary, annotations: VCocoAnnotations) -> RoleDetections:
    """Return one row per triplet, in their order; image_index refers to the images of `annotations`.

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
    return RoleDetections(
        image_id=annotations.image_ids[detections.image_index],
        action_id=verb_role[:, 0],
        role_index=verb_role[:, 1] + np.int16(1),  # column 0 of role_name is the agent
        human_boxes=detections.human_boxes,
        role_boxes=detections.object_boxes,
        scores=detections.scores,
    )


def vcoco_metrics(result: VCocoResult) -> dict[str, Any]:
    """Return role AP (24 verb-roles; 25 as the official file prints), agent AP, and both by name, in percent."""
    roles = zip(result.verb_roles, result.role_s1, result.role_s2, strict=True)
    return {
        "ap_role_s1": percent(result.ap_role_s1),
        "ap_role_s2": percent(result.ap_role_s2),
        "ap_role_s1_25": percent(result.ap_role_s1_25),
        "ap_role_s2_25": percent(result.ap_role_s2_25),
        "ap_agent": percent(result.ap_agent),
        "per_role": {name: {"s1": percent(s1), "s2": percent(s2)} for name, s1, s2 in roles},
        "per_agent": {name: percent(ap) for name, ap in zip(result.actions, result.agent, strict=True)},
    }
