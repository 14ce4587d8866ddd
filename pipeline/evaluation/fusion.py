"""Score fusion, eq. (3): from the raw logits of a dump to scored triplets. Changing it never re-runs the network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError
from pipeline.core.params import EvaluateParams, ModelParams
from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.store.dump import PredictionDump
from pipeline.store.ragged import row_owner

DoubleArray = NDArray[np.float64]


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


@dataclass(frozen=True)
class ScoreParts:
    """The factors of eq. (3) by triplet, float64 [T] in 0..1; None for one that the params leave out.

    Attributes:
        pairwise: e_p, or the plain sigmoid of s_p.
        global_: sigmoid(s_g).
        times: sigmoid(s_p) of `times_run` (Abl 3).
        relatedness: sigmoid(s_b).
        human, partner: detector scores of the human and the object box.
        gamma: the exponent of their product.
    """

    pairwise: DoubleArray
    global_: DoubleArray | None
    times: DoubleArray | None
    relatedness: DoubleArray | None
    human: DoubleArray
    partner: DoubleArray
    gamma: float

    @property
    def detector(self) -> DoubleArray:
        """(s_h s_o)^gamma."""
        return (self.human * self.partner) ** self.gamma

    def scores(self) -> FloatArray:
        """R of eq. (3): the product of all factors, float32 [T]."""
        scores = self.pairwise * self.detector
        for factor in (self.global_, self.times, self.relatedness):
            if factor is not None:
                scores *= factor
        return scores.astype(np.float32)

    def take(self, rows: IntArray) -> ScoreParts:
        """The factors of some triplets."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "gamma"}
        taken: dict[str, Any] = {name: None if value is None else value[rows] for name, value in values.items()}
        return ScoreParts(**taken, gamma=self.gamma)


def fuse(dump: PredictionDump, params: EvaluateParams, times: PredictionDump | None = None) -> Detections:
    """Score every (pair, verb) whose verb and object category form an HOI class: R of eq. (3).

    Each factor can be switched off: `score_fusion` (s_g), `relatedness` (s_b), `pair_score: sigmoid` (plain sigmoid of
    s_p in place of e_p). Rows are ordered by image, then pair, then HOI id.

    Args:
        times: the dump of `times_run`, over the same pairs: its sigmoid(s_p) multiplies the scores (Abl 3).

    Raises:
        ArtifactError: the two dumps are not over the same pairs.
    """
    return fuse_parts(dump, params, times)[0]


def fuse_parts(
    dump: PredictionDump, params: EvaluateParams, times: PredictionDump | None = None
) -> tuple[Detections, ScoreParts]:
    """`fuse`, with the factors that each score is the product of."""
    image = row_owner(dump.pair_offsets)
    first = dump.proposal_offsets[image]
    human, partner = first + dump.human_index, first + dump.object_index
    logits = dump.interaction_logits
    interaction = pair_scores(logits, dump.pair_offsets) if params.pair_score == "softmax" else sigmoid(logits)
    pair, hoi_id = pair_classes(dump.object_ids[partner], dump.vocabulary.hoi_object_ids, dump.vocabulary.num_objects)
    verb_id = dump.vocabulary.hoi_verb_ids[hoi_id]
    if times is not None:
        _check_same_pairs(dump, times)
    parts = ScoreParts(
        pairwise=interaction[pair, verb_id],
        global_=sigmoid(dump.image_logits[image[pair], hoi_id]) if params.score_fusion else None,
        times=None if times is None else sigmoid(times.interaction_logits)[pair, verb_id],
        relatedness=sigmoid(dump.relatedness_logits)[pair] if params.relatedness else None,
        human=dump.proposal_scores[human[pair]].astype(np.float64),
        partner=dump.proposal_scores[partner[pair]].astype(np.float64),
        gamma=params.gamma,
    )
    detections = Detections(
        image_index=image[pair].astype(np.int32),
        hoi_id=hoi_id.astype(np.int16),
        human_boxes=dump.boxes[human[pair]],
        object_boxes=dump.boxes[partner[pair]],
        scores=parts.scores(),
    )
    return detections, parts


def of_trained_parts(params: EvaluateParams, model: ModelParams) -> EvaluateParams:
    """Switch off the factors whose branch a model was trained without: its outputs say nothing."""
    return dataclasses.replace(
        params,
        score_fusion=params.score_fusion and model.hoi_recognition,
        relatedness=params.relatedness and model.relatedness,
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


def _check_same_pairs(dump: PredictionDump, times: PredictionDump) -> None:
    for name in ("proposal_offsets", "boxes", "pair_offsets", "human_index", "object_index"):
        if not np.array_equal(getattr(dump, name), getattr(times, name)):
            raise ArtifactError(
                f"evaluate.times_run: the predictions of {times.variant} are over other pairs than those of "
                f"{dump.variant} ({name} differ); infer both from the same proposals"
            )
