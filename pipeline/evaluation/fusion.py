"""Score fusion, eq. (3): from the raw logits of a dump to scored triplets. Changing it never re-runs the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ArtifactError, ParamError, did_you_mean
from pipeline.core.outputs import OutputColumn
from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.evaluation.params import EvaluateParams
from pipeline.store.cluster import check_seen
from pipeline.store.dump import DumpReader, PredictionDump, open_dump
from pipeline.store.ragged import row_owner

DoubleArray = NDArray[np.float64]
Weights = tuple[tuple[str, float], ...]  # changes to the params' weights; none: the params' own


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


def category_scores(
    logits: NDArray[np.float32], offsets: NDArray[np.int64], object_ids: NDArray[np.int64]
) -> NDArray[np.float64]:
    """`pair_scores` over the image's pairs of one object category at a time, float64 [M, A]; object_ids int64 [M]."""
    image = row_owner(offsets)
    order = np.lexsort((object_ids, image))
    same = (np.diff(image[order]) == 0) & (np.diff(object_ids[order]) == 0)
    bounds = np.concatenate(([0], np.flatnonzero(~same) + 1, [len(logits)]))
    scores = np.empty(logits.shape)
    scores[order] = pair_scores(logits[order], bounds)
    return scores


LINKS: dict[str, Callable[[PredictionDump, FloatArray], DoubleArray]] = {
    "sigmoid": lambda dump, logits: sigmoid(logits),
    "softmax": lambda dump, logits: pair_scores(logits, dump.pair_offsets),
    "category_softmax": lambda dump, logits: category_scores(logits, dump.pair_offsets, pair_objects(dump)),
    "exp": lambda dump, logarithms: np.exp(logarithms.astype(np.float64)),
}


def pair_objects(dump: PredictionDump) -> IntArray:
    """Object category of each pair, int64 [M]."""
    first = dump.proposal_offsets[row_owner(dump.pair_offsets)]
    return dump.object_ids[first + dump.object_index]


@dataclass(frozen=True)
class Factors:
    """The factors of a score by name, float64 [T], at least 0, and the weight (exponent) of each that is not 1.

    `human` and `object` [T] are the two detector scores whose product is the factor "detector", where they are known.
    """

    values: Mapping[str, NDArray[np.floating]]
    weights: Mapping[str, float]
    human: DoubleArray | None = None
    object: DoubleArray | None = None

    def weight(self, name: str) -> float:
        """Exponent of a factor; 0 leaves it out."""
        return self.weights.get(name, 1.0)

    def weighted(self, name: str) -> NDArray[np.floating]:
        """A factor to the power of its weight."""
        value, weight = self.values[name], self.weight(name)
        return value if weight == 1 else value**weight

    @property
    def in_use(self) -> tuple[str, ...]:
        """Names of the factors that count."""
        return tuple(name for name in self.values if self.weight(name))

    def scores(self) -> FloatArray:
        """R, eq. (3): the product of all factors to their weights, float32 [T]."""
        product = np.ones(len(next(iter(self.values.values()))))
        for name in self.in_use:
            product *= self.weighted(name)
        return product.astype(np.float32)

    def with_weights(self, changes: Mapping[str, float]) -> Factors:
        """The same factors at other weights."""
        return dataclasses.replace(self, weights={**self.weights, **changes})


def fuse(dump: PredictionDump, params: EvaluateParams, times: PredictionDump | None = None) -> Detections:
    """Score every (pair, verb) whose verb and object category form an HOI class: R of eq. (3).

    R is the product of the factors that the dump's columns declare, of "detector", the product of the two detector
    scores, and of "times"; each to the power that `params.weights` gives it. Rows are ordered by image, then pair,
    then HOI id.

    Args:
        times: the dump of `times_run`, over the same pairs: the sigmoid of its pairs' logits is a factor (Abl 3).

    Raises:
        ArtifactError: the two dumps are not over the same pairs.
        ParamError: `params` name a factor that the dump does not have, or `times` has no logits of pairs and classes.
    """
    return fuse_factors(dump, params, times)[0]


def fuse_factors(
    dump: PredictionDump, params: EvaluateParams, times: PredictionDump | None = None
) -> tuple[Detections, Factors]:
    """`fuse`, with the factors that each score is the product of."""
    image = row_owner(dump.pair_offsets)
    first = dump.proposal_offsets[image]
    human, partner = first + dump.human_index, first + dump.object_index
    pair, hoi_id = pair_classes(dump.object_ids[partner], dump.vocabulary.hoi_object_ids, dump.vocabulary.num_objects)
    _check_factors(params, dump.columns, has_times=times is not None)
    of_human, of_object = (dump.proposal_scores[rows[pair]].astype(np.float64) for rows in (human, partner))

    def triplets(column: OutputColumn, values: DoubleArray) -> DoubleArray:
        """Entries of a column [M or I, classes] by triplet."""
        rows = pair if column.per == "pair" else image[pair]
        if column.classes is None:
            return values[rows]
        return values[rows, hoi_id if column.classes == "hois" else dump.vocabulary.hoi_verb_ids[hoi_id]]

    values = {}
    for column in dump.columns:
        link = LINKS[params.links.get(column.factor, column.link)]
        values[column.factor] = triplets(column, link(dump, dump.outputs[column.name]))
        values.setdefault("detector", of_human * of_object)  # second, for the order of float products
    if times is not None:
        _check_same_pairs(dump, times)
        of_pairs = _pair_column(times)
        values["times"] = triplets(of_pairs, sigmoid(times.outputs[of_pairs.name]))
    factors = Factors(values, params.weights, of_human, of_object)
    detections = Detections(
        image_index=image[pair].astype(np.int32),
        hoi_id=hoi_id.astype(np.int16),
        human_boxes=dump.boxes[human[pair]],
        object_boxes=dump.boxes[partner[pair]],
        scores=factors.scores(),
    )
    return detections, factors


def factor_names(columns: Sequence[OutputColumn], *, has_times: bool) -> list[str]:
    """Names of the factors of a score: those that the method declares, "detector", and "times" of another run."""
    return [*(column.factor for column in columns), "detector", *(["times"] if has_times else [])]


def _check_factors(params: EvaluateParams, columns: Sequence[OutputColumn], *, has_times: bool) -> None:
    """Refuse weights and links of factors that the predictions do not have; a ParamError names the first."""
    declared, known = [column.factor for column in columns], factor_names(columns, has_times=has_times)
    for key, names, expected in (("weights", params.weights, known), ("links", params.links, declared)):
        if unknown := [name for name in names if name not in expected]:
            raise ParamError(
                f'evaluate.{key}: no factor "{unknown[0]}"{did_you_mean(unknown[0], expected)}; '
                f"these predictions have {', '.join(expected)}"
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


def _pair_column(times: PredictionDump) -> OutputColumn:
    """The first column that a method declares for pairs and their classes."""
    for column in times.columns:
        if column.per == "pair" and column.classes is not None:
            return column
    raise ParamError(
        f"evaluate.times_run: the predictions of {times.variant} have no logits of pairs by class; name another run"
    )


def _check_same_pairs(dump: PredictionDump, times: PredictionDump) -> None:
    for name in ("proposal_offsets", "boxes", "pair_offsets", "human_index", "object_index"):
        if not np.array_equal(getattr(dump, name), getattr(times, name)):
            raise ArtifactError(
                f"evaluate.times_run: the predictions of {times.variant} are over other pairs than those of "
                f"{dump.variant} ({name} differ); infer both from the same proposals"
            )


@dataclass(frozen=True)
class FusedDump:
    """Triplets of a dump, scored by eq. (3) once for each change of weights; `times` is the dump of `params.times_run`.

    Implements `engine.ImageBlocks`: each process that gets one opens the dumps itself. `digests` are those that the
    caller found, for workers that may see other files under the same paths; a dump without one is not checked.
    """

    path: Path
    params: EvaluateParams
    rankings: tuple[Weights, ...]
    times: Path | None = None
    digests: Mapping[Path, str] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> tuple[Detections, Sequence[FloatArray]]:
        """Triplets of images start..stop-1 (image_index from 0), and their scores in each ranking.

        Raises:
            ArtifactError: a dump is missing, damaged or not the caller's, or the two are not over the same pairs.
        """
        detections, factors = self.read_factors(start, stop)
        return detections, [factors.with_weights(dict(changes)).scores() for changes in self.rankings]

    def read_factors(self, start: int, stop: int) -> tuple[Detections, Factors]:
        """The same triplets with the params' own scores, and the factors of these; errors as `read`."""
        dump, times = self._readers
        return fuse_factors(dump.read(start, stop), self.params, None if times is None else times.read(start, stop))

    @cached_property
    def _readers(self) -> tuple[DumpReader, DumpReader | None]:
        for path, digest in self.digests.items():
            check_seen(path, digest)
        return open_dump(self.path), None if self.times is None else open_dump(self.times)
