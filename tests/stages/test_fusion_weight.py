"""`fusion-weight`: a sweep over seeded runs, and what its ends are."""

from __future__ import annotations

import csv
import dataclasses

import pytest
from click.testing import CliRunner

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.store.dump import read_dump, write_dump
from stages.fusion_weight import command
from stages.score import command as score
from tests.report.worlds import VOCABULARY, write_world


@pytest.fixture
def layout(tmp_path) -> Layout:
    layout = write_world(tmp_path)
    dump, run = read_dump(layout.predictions(Run("ours")), vocabulary=VOCABULARY), Run("ours", seed=3)
    write_dump(layout.predictions(run), **vars(dataclasses.replace(dump, variant=run.name)))
    return layout


def call(layout: Layout, seed: int):
    options = ["--dataset", "toyworld", "--variant", "ours", "--seed", str(seed), "--root", str(layout.root)]
    return CliRunner().invoke(command, options)


def test_its_ends_are_the_rows_with_and_without_score_fusion(layout):
    options = ["--dataset", "toyworld", "--variant", "ours", "--seed", "3", "--root", str(layout.root)]
    scored = CliRunner().invoke(score, options).output
    result = call(layout, 3)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(layout.fusion_weight.read_text().splitlines()))
    full = {(row["pairs"], row["weight"]): float(row["full"]) for row in rows}
    assert len(rows) == len(full) == 8
    assert f"ours-3: mAP full {full['all', '1']:.2f} " in scored
    assert f"exp7-3: mAP full {full['all', '0']:.2f} " in scored


def test_missing_predictions_are_one_line(layout):
    result = call(layout, 9)
    assert result.exit_code == 2 and result.output.count("\n") == 1 and "ours-9" in result.output
    assert not layout.fusion_weight.exists()
