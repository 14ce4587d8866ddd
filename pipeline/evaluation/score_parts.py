"""The factors of eq. (3), one by one: what a triplet's score is made of, for people who want to look inside."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.params import EvaluateParams, ModelParams
from pipeline.evaluation.fusion import pair_classes, pair_scores, sigmoid
from pipeline.store.dump import PredictionDump
from pipeline.store.ragged import row_owner


@dataclass(frozen=True)
class ScoreParts:
    """Factors of the rows of `fuse(dump, params)`, in its order, float64 [T] in 0..1.

    score = pairwise * image * relatedness * (human * partner) ** gamma; a factor that params switch off is None.

    Attributes:
        pairwise: e_p, from s_p.
        image: sigmoid(s_g), the global score.
        relatedness: sigmoid(s_b).
        human: detector score of the human box.
        partner: detector score of the object box.
    """

    pairwise: NDArray[np.float64]
    image: NDArray[np.float64] | None
    relatedness: NDArray[np.float64] | None
    human: NDArray[np.float64]
    partner: NDArray[np.float64]


def score_parts(dump: PredictionDump, params: EvaluateParams) -> ScoreParts:
    """Return the factors of every row that `fuse` scores."""
    image = row_owner(dump.pair_offsets)
    first = dump.proposal_offsets[image]
    human, partner = first + dump.human_index, first + dump.object_index
    logits = dump.interaction_logits
    interaction = pair_scores(logits, dump.pair_offsets) if params.pair_score == "softmax" else sigmoid(logits)
    pair, hoi_id = pair_classes(dump.object_ids[partner], dump.vocabulary.hoi_object_ids, dump.vocabulary.num_objects)
    return ScoreParts(
        pairwise=interaction[pair, dump.vocabulary.hoi_verb_ids[hoi_id]],
        image=sigmoid(dump.image_logits[image[pair], hoi_id]) if params.score_fusion else None,
        relatedness=sigmoid(dump.relatedness_logits)[pair] if params.relatedness else None,
        human=dump.proposal_scores[human[pair]].astype(np.float64),
        partner=dump.proposal_scores[partner[pair]].astype(np.float64),
    )


def of_trained_parts(params: EvaluateParams, model: ModelParams) -> EvaluateParams:
    """Switch off the factors whose branch a model was trained without: its outputs say nothing."""
    return dataclasses.replace(
        params,
        score_fusion=params.score_fusion and model.hoi_recognition,
        relatedness=params.relatedness and model.relatedness,
    )
