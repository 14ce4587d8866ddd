"""`sweep`: the weight of a factor over seeded runs, and what the ends of a sweep are."""

from __future__ import annotations

import csv
import dataclasses

import pytest
from click.testing import CliRunner

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.store.dump import read_dump, write_dump
from stages.score import command as score
from stages.sweep import command
from tests.report.worlds import VOCABULARY, write_world

pytestmark = pytest.mark.slow


@pytest.fixture
def layout(tmp_path) -> Layout:
    layout = write_world(tmp_path)
    dump, run = read_dump(layout.predictions(Run("ours")), vocabulary=VOCABULARY), Run("ours", seed=3)
    write_dump(layout.predictions(run), **vars(dataclasses.replace(dump, variant=run.name)))
    return layout


def call(layout: Layout, *options: str, seed: int = 3, command=command):
    run = ["--dataset", "toyworld", "--variant", "ours", "--seed", str(seed), "--root", str(layout.root)]
    return CliRunner().invoke(command, [*run, *options])


def test_its_ends_are_the_rows_with_and_without_score_fusion(layout):
    scored, result = call(layout, command=score).output, call(layout)
    assert result.exit_code == 0, result.output
    assert "ours, best pairs, mAP by weight of global, 1 seeds: 0: " in result.output
    rows = list(csv.DictReader(layout.sweep("global").read_text().splitlines()))
    full = {(row["pairs"], row["weight"]): float(row["full"]) for row in rows}
    assert list(full) == [(pairs, weight) for pairs in ("all", "best") for weight in ("0", "0.25", "0.5", "1")]
    assert f"ours-3: mAP full {full['all', '1']:.2f} " in scored
    assert f"exp7-3: mAP full {full['all', '0']:.2f} " in scored


def test_any_factor_of_the_predictions_is_swept_into_a_file_of_its_own(layout):
    for factor in ("detector", "relatedness"):
        assert call(layout, "--factor", factor).exit_code == 0
    weights = [line.split(",")[3] for line in layout.sweep("detector").read_text().splitlines()[1:]]
    assert len(weights) == 30 and "2.8" in weights
    assert layout.sweep("relatedness").exists() and not layout.sweep("global").exists()


@pytest.mark.parametrize(
    ("factor", "seed", "part"), [("global", 9, "ours-9"), ("../x", 3, 'ours-3: no factor "../x" whose weight')]
)
def test_missing_predictions_and_factors_are_one_line(layout, factor, seed, part):
    result = call(layout, "--factor", factor, seed=seed)
    assert result.exit_code == 2 and result.output.count("\n") == 1 and part in result.output
    assert not list(layout.root.rglob("sweep-*"))
