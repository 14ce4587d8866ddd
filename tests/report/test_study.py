from __future__ import annotations

import csv
import io
import math

import pytest

from pipeline.report.number_text import Estimate
from pipeline.report.paper import CLAIMS, CONTROLS, PAPER
from pipeline.report.results import RunMetrics
from pipeline.report.study import (
    claims_html,
    claims_table,
    controls_table,
    paired_difference,
    rows_csv,
    rows_table,
    study_page,
    verdict,
)


def run_metrics(variant: str, means: dict[str, float | None], **changes) -> RunMetrics:
    values = {"split": "test", "setting": "default", "max_recall": 90.0, "groups": dict.fromkeys(means, 7)}
    values |= {"counts": {}, "roles": {}, "at_break_even": {}, "gain_if_fixed": {}, "of_images": {}}
    return RunMetrics(variant, means=means, **{**values, **changes})


def runs(full_by_seed: dict[int, float], rare: float | None = 5.0) -> dict[int, RunMetrics]:
    means = {seed: {"full": full, "rare": rare, "non_rare": full + seed} for seed, full in full_by_seed.items()}
    return {seed: run_metrics("any", values) for seed, values in means.items()}


STUDY = {
    "extra": runs({0: 1.0}, rare=None),
    "ours": runs({0: 30.0, 1: 34.0}),
    "baseline": runs({0: 29.0, 1: 31.0, 2: 99.0}),
    "ours_random_bank": runs({0: 30.0, 1: 33.0}),
}


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_difference_is_paired_by_seed():
    estimate = paired_difference({0: 30.0, 1: 34.0}, {1: 31.0, 0: 29.0, 2: 99.0})
    assert estimate.mean == 2.0
    assert estimate.spread == pytest.approx(math.sqrt(2) / math.sqrt(2))  # differences 1 and 3: deviation sqrt 2
    assert str(paired_difference({0: 1.0}, {1: 1.0})) == "\N{EN DASH}"


def test_rows_stand_beside_the_papers_figures_in_the_order_of_params():
    rows = cells(rows_table(STUDY, {"baseline": "plain", "unused": "", "ours": "whole"}))
    assert rows[0][:3] == ["row", "desc", "seeds"]
    assert rows[2][:3] == ["baseline", "plain", "3"] and rows[2][-3:] == ["19.52", "16.58", "20.40"]
    assert rows[3][:6] == ["ours", "whole", "2", "32.00 ± 2.83", "5.00 ± 0.00", "32.50 ± 3.54"]
    assert rows[4] == ["extra", "", "1", "1.00", "\N{EN DASH}", "1.00", *["\N{EN DASH}"] * 3]


def test_csv_has_the_same_numbers():
    first, *_ = csv.DictReader(io.StringIO(rows_csv(STUDY, {"ours": "whole"})))
    assert (first["variant"], first["desc"], first["seeds"]) == ("ours", "whole", "2")
    assert float(first["full_mean"]) == 32.0 and float(first["full_std"]) == pytest.approx(2.8284)
    assert float(first["paper_rare"]) == 22.41
    (extra,) = (row for row in csv.DictReader(io.StringIO(rows_csv(STUDY, {}))) if row["variant"] == "extra")
    assert extra["rare_mean"] == extra["full_std"] == extra["paper_full"] == ""


@pytest.mark.parametrize(
    ("mean", "spread", "expected"),
    [
        (2.1, 1.0, "agrees"),
        (1.9, 1.0, "within the error"),
        (-1.9, 1.0, "within the error"),
        (-2.1, 1.0, "CONTRADICTS"),
        (3.0, float("nan"), "one seed"),
    ],
)
def test_a_verdict_takes_two_standard_errors(mean, spread, expected):
    assert verdict(Estimate(mean, spread)) == expected


def test_claims_compare_with_the_paper_where_both_rows_were_run():
    rows = cells(claims_table(STUDY))[2:]
    assert rows[0] == ["the whole method helps", "ours - baseline", "3.37", "2.00 ± 1.00", "within the error"]
    assert rows[1][0] == "rare classes gain most" and rows[1][2] == "3.20"
    assert rows[1][3] == "-2.00 ± 1.00"  # rare gains 0 and 0, non-rare 1 and 3
    assert len(rows) == 2 and claims_table({"ours": STUDY["ours"]}) == claims_html({"ours": STUDY["ours"]}) == ""
    html = claims_html(STUDY)
    assert "the whole method helps<small>ours - baseline</small>" in html and "<td>2.00 ± 1.00</td>" in html
    assert html.count('<span class="within">within the error</span>') == 2


def test_every_claim_is_one_that_the_papers_own_figures_bear_out():
    for claim in CLAIMS:
        assert PAPER[claim.better][0] > PAPER[claim.worse][0], claim


def test_controls_by_hand():
    (row,) = cells(controls_table(STUDY))[2:]
    assert row == ["ours - ours_random_bank", "2", "0.50 ± 0.50", "0.00 ± 0.00", "0.50 ± 0.50"]
    assert all(any(row not in PAPER for row in pair) for pair in CONTROLS)  # a row of ours is one of each


def test_page_says_what_its_numbers_are():
    page = study_page(STUDY, {}, "Ablations: toyworld", {"More:": "| a |\n", "None:": ""})
    assert page.startswith("# Ablations: toyworld\n") and page.endswith("|\n")
    assert "standard deviation" in page and "standard error" in page
    assert "\n\nMore:\n\n| a |\n\nControls" in page and "None:" not in page
    assert "standard error" not in study_page({"ours": STUDY["ours"]}, {}, "", {})
