from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from pipeline.report import figures
from pipeline.report.results import PerClass

RECALL = np.linspace(0, 1, 11)


def mean_curves(height: float) -> dict:
    return {"full": (RECALL, height * (1 - RECALL)), "rare": (RECALL, height * (1 - RECALL) ** 2)}


def log(relatedness: float | None = 1.0) -> dict:
    steps = np.arange(20.0)
    terms = {"epoch": steps / 10, "loss": 20 - steps, "pair": 9 - steps / 3}
    return terms if relatedness is None else terms | {"relatedness": relatedness * (8 - steps / 4)}


def classes(num_hois: int = 5, seed: int = 0) -> PerClass:
    ap = np.random.default_rng(seed).uniform(0, 100, num_hois)
    ap[1] = np.nan
    rows, names = np.arange(num_hois), tuple(f"verb_{hoi} $cup" for hoi in range(num_hois))
    return PerClass(names, ap, rows * 7.0, rows * 3.0, {"rare": rows % 2 == 0}, {})


def sweep(best: float) -> dict:
    weight = np.arange(6.0)
    full = 60 - (weight - best) ** 2
    return {"weight": weight, "full": full, "rare": full * np.nan, "non_rare": full, "chosen": weight == 2}


def size(svg: bytes) -> tuple[float, float]:
    width, height = re.search(rb'width="([0-9.]+)pt" height="([0-9.]+)pt"', svg).groups()
    return float(width), float(height)


@pytest.mark.parametrize(
    ("draw", "same", "other"),
    [
        (figures.precision_recall, {"a": mean_curves(0.5), "b": mean_curves(0.7)}, {"a": mean_curves(0.6)}),
        (figures.training, {"a": log(), "b": log(None)}, {"a": log(), "b": log(2)}),
        (lambda runs: figures.training_frequency(runs, "a"), {"a": classes()}, {"a": classes(seed=1)}),
        (figures.weight_sweeps, {"a": {"detector": sweep(0)}, "b": {}}, {"a": {"detector": sweep(1)}}),
    ],
)
def test_bytes_depend_on_the_numbers_alone(draw, same, other):
    first = draw(same)
    assert first == draw(same) != draw(other)
    assert b"<metadata" not in first  # neither software nor time


def test_only_groups_terms_and_factors_in_use_have_a_panel():
    both = figures.precision_recall({"a": mean_curves(0.5)})
    assert size(figures.precision_recall({"a": mean_curves(0.5) | {"non_rare": (RECALL, RECALL)}}))[0] > size(both)[0]
    assert size(figures.training({"a": log(None)}))[0] < size(figures.training({"a": log(None), "b": log()}))[0]
    few, many = ({"a": dict.fromkeys(names, sweep(0))} for names in (("detector",), ("pairwise", "global", "detector")))
    assert size(figures.weight_sweeps(many))[0] > size(figures.weight_sweeps(few))[0]


def test_a_run_of_no_epoch_has_no_line():
    empty, drawn = {name: column[:0] for name, column in log(None).items()}, figures.training({"a": log(None)})
    assert figures.training({"a": empty}) != drawn
    assert size(figures.training({"a": log(None), "b": empty})) == size(drawn)


def test_a_long_log_is_thinned():
    many = {name: np.linspace(0, 1, 100_000) for name in ("epoch", "loss")}
    assert len(figures.training({"a": many})) < 60_000


def test_running_mean_by_hand():
    assert figures.running_mean(np.array([4.0, 2.0, 6.0, 8.0]), 2).tolist() == [4, 3, 4, 7]
    assert figures.running_mean(np.array([4.0, 2.0]), 1).tolist() == [4, 2]


def test_thirds_by_hand():
    middles, means = figures.thirds(np.array([100.0, 1, 4, 10, 1000, 1]), np.array([50.0, 2, 6, 8, 70, 4]))
    np.testing.assert_allclose(middles, [1, 40**0.5, 1e5**0.5])
    assert means.tolist() == [3, 7, 60]
    assert len(figures.thirds(np.zeros(0), np.zeros(0))[0]) == 0


def test_a_split_without_annotated_pairs_is_legal():
    known = classes()
    nothing = dataclasses.replace(known, ap=known.ap * np.nan)
    empty = sweep(0) | {"full": np.full(6, np.nan), "non_rare": np.full(6, np.nan)}
    for svg in (
        figures.precision_recall({"a": {}, "b": {}}),
        figures.training_frequency({"a": nothing, "b": nothing}, "a", "b"),
        figures.weight_sweeps({"a": {"detector": empty}}),
    ):
        assert min(size(svg)) > 100
