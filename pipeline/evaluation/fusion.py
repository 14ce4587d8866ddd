"""Score fusion, eq. (3): from the raw logits of a dump to scored triplets. Changing it never re-runs the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.params import EvaluateParams
from pipeline.core.types import Detections, IntArray
from pipeline.store.dump import PredictionDump
from pipeline.store.ragged import row_owner


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logistic function without overflow, float64."""
    half = np.tanh(logits.astype(np.float64) / 2)
    return (half + 1) / 2


def pair_scores(logits: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """e_p = sigmoid(max over pairs) * softmax over pairs, by verb (sec. 3.2.5).

    Args:
        logits: s_p [M, A].
        offsets: int64 [I + 1], cuts the pairs by image.

    Returns:
        float64 [M, A].
    """
    if not len(logits):
        return np.zeros(logits.shape)
    filled = np.flatnonzero(np.diff(offsets) > 0)
    starts = offsets[filled]
    image = np.repeat(np.arange(len(filled)), np.diff(offsets)[filled])
    values = logits.astype(np.float64)
    top = np.maximum.reduceat(values, starts, axis=0)  # [filled, A]
    weights = np.exp(values - top[image])
    return sigmoid(top)[image] * weights / np.add.reduceat(weights, starts, axis=0)[image]


def fuse(dump: PredictionDump, params: EvaluateParams) -> Detections:
    """Score every (pair, verb) whose verb and object category form an HOI class: R of eq. (3).

    Each factor can be switched off: `score_fusion` (s_g), `relatedness` (s_b), `pair_score: sigmoid` (plain sigmoid of
    s_p in place of e_p). Rows are ordered by image, then pair, then HOI id.
    """
    image = row_owner(dump.pair_offsets)
    first = dump.proposal_offsets[image]
    human, partner = first + dump.human_index, first + dump.object_index
    interaction = (
        pair_scores(dump.interaction_logits, dump.pair_offsets)
        if params.pair_score == "softmax"
        else sigmoid(dump.interaction_logits)
    )
    detector = (dump.proposal_scores[human].astype(np.float64) * dump.proposal_scores[partner]) ** params.gamma
    pair, hoi_id = pair_classes(dump.object_ids[partner], dump.vocabulary.hoi_object_ids, dump.vocabulary.num_objects)
    scores = interaction[pair, dump.vocabulary.hoi_verb_ids[hoi_id]] * detector[pair]
    if params.score_fusion:
        scores *= sigmoid(dump.image_logits[image[pair], hoi_id])
    if params.relatedness:
        scores *= sigmoid(dump.relatedness_logits)[pair]
    return Detections(
        image_index=image[pair].astype(np.int32),
        hoi_id=hoi_id.astype(np.int16),
        human_boxes=dump.boxes[human[pair]],
        object_boxes=dump.boxes[partner[pair]],
        scores=scores.astype(np.float32),
    )


@dataclass(frozen=True)
class ScoreParts:
    """The factors whose product is the score of eq. (3), float64 [K] each; None for one that the params leave out.

    `pairwise` e_p (or the plain sigmoid), `global_` sigmoid(s_g), `relatedness` sigmoid(s_b), `detector`
    (s_h s_o)^gamma.
    """

    pairwise: NDArray[np.float64]
    global_: NDArray[np.float64] | None
    relatedness: NDArray[np.float64] | None
    detector: NDArray[np.float64]


def score_parts(dump: PredictionDump, params: EvaluateParams, rows: IntArray) -> ScoreParts:
    """The parts of some rows of `fuse(dump, params)`, for people to look at.

    Args:
        rows: int64 [K], rows of the detections.
    """
    image = row_owner(dump.pair_offsets)
    first = dump.proposal_offsets[image]
    human, partner = first + dump.human_index, first + dump.object_index
    pair, hoi_id = (
        column[rows]
        for column in pair_classes(
            dump.object_ids[partner], dump.vocabulary.hoi_object_ids, dump.vocabulary.num_objects
        )
    )
    interaction = (
        pair_scores(dump.interaction_logits, dump.pair_offsets)
        if params.pair_score == "softmax"
        else sigmoid(dump.interaction_logits)
    )
    confidence = dump.proposal_scores[human[pair]].astype(np.float64) * dump.proposal_scores[partner[pair]]
    return ScoreParts(
        pairwise=interaction[pair, dump.vocabulary.hoi_verb_ids[hoi_id]],
        global_=sigmoid(dump.image_logits[image[pair], hoi_id]) if params.score_fusion else None,
        relatedness=sigmoid(dump.relatedness_logits[pair]) if params.relatedness else None,
        detector=confidence**params.gamma,
    )


def pair_classes(
    pair_object_ids: NDArray[np.int64], hoi_object_ids: NDArray[np.int64], num_objects: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Expand pairs [M] to (pair row, HOI id) [T]: every HOI class of the pair's object category."""
    by_object = np.argsort(hoi_object_ids, kind="stable")
    counts = np.bincount(hoi_object_ids, minlength=num_objects)
    repeats = counts[pair_object_ids]
    pair = np.repeat(np.arange(len(pair_object_ids)), repeats)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    first = (np.cumsum(counts) - counts)[pair_object_ids]
    return pair, by_object[first[pair] + within]
