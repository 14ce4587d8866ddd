"""Measures of separation by variant, over seeds, in the form that `separation.json` has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.report.separation import group_precision, neighbour_purity, silhouette

_DIGITS = 4  # beyond them, results depend on the order of sums


def pair_measures(
    representation: NDArray[np.floating],
    hoi_ids: IntArray,
    images: IntArray,
    vocabulary: Vocabulary,
    neighbours: int | None,
) -> dict[str, float]:
    """Separation of pair representations [n, D] by HOI class.

    `hoi_purity`: of the neighbours in other images, those of the same HOI class. `verb_purity`: the same among pairs of
    the same object category, so that telling objects apart does not help. `hoi_silhouette`: of the HOI classes; left
    out where `neighbours` is None, which gives the chance level of the others.
    """
    points, objects = representation.astype(np.float64), vocabulary.hoi_object_ids[hoi_ids]
    measures = {
        "hoi_purity": neighbour_purity(points, hoi_ids, images, neighbours),
        "verb_purity": neighbour_purity(points, hoi_ids, images, neighbours, pools=objects),
    }
    return measures if neighbours is None else measures | {"hoi_silhouette": silhouette(points, hoi_ids)}


def bank_measures(bank: NDArray[np.floating], vocabulary: Vocabulary) -> tuple[dict[str, float], dict[str, float]]:
    """R-precision by cosine of a bank's rows [H, D], for shared objects and shared verbs; and its chance level."""
    groups = {"object_precision": vocabulary.hoi_object_ids, "verb_precision": vocabulary.hoi_verb_ids}
    found = {name: group_precision(bank.astype(np.float64), group) for name, group in groups.items()}
    return {name: own for name, (own, _) in found.items()}, {name: chance for name, (_, chance) in found.items()}


def over_seeds(measures: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Mean and standard deviation (ddof 1) of each measure over seeds, and the single values."""
    table: dict[str, Any] = {}
    for name in measures[0]:
        values = [row[name] for row in measures]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        table[name] = {
            "mean": rounded(float(np.mean(values))),
            "sd": rounded(deviation),
            "seeds": [rounded(value) for value in values],
        }
    return table


def rounded(value: float) -> float | None:
    """The value as JSON keeps it; None where it is not a number."""
    return None if math.isnan(value) else round(value, _DIGITS)
