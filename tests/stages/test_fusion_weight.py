"""`fusion-weight`: a sweep over seeded runs, and what its ends are."""

from __future__ import annotations

import csv
import dataclasses

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.store.dump import read_dump, write_dump
from tests.report.worlds import VOCABULARY
from tests.roots import refused, succeeds

CALL = ("--dataset", "toyworld", "--variant", "ours", "--seed")


@pytest.fixture
def layout(layout) -> Layout:
    dump, run = read_dump(layout.predictions(Run("ours")), vocabulary=VOCABULARY), Run("ours", seed=3)
    write_dump(layout.predictions(run), **vars(dataclasses.replace(dump, variant=run.name)))
    return layout


def test_its_ends_are_the_rows_with_and_without_score_fusion(layout):
    scored = succeeds(layout.root, "score", *CALL, "3").output
    succeeds(layout.root, "fusion-weight", *CALL, "3")
    rows = list(csv.DictReader(layout.fusion_weight.read_text().splitlines()))
    full = {(row["pairs"], row["weight"]): float(row["full"]) for row in rows}
    assert len(rows) == len(full) == 8
    assert f"ours-3: mAP full {full['all', '1']:.2f} " in scored
    assert f"exp7-3: mAP full {full['all', '0']:.2f} " in scored


def test_missing_predictions_are_one_line(layout):
    assert "ours-9" in refused(layout.root, "fusion-weight", *CALL, "9")
    assert not layout.fusion_weight.exists()
