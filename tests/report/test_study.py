from __future__ import annotations

import math

import pytest

from pipeline.report.results import RunMetrics
from pipeline.report.seeds import differences_table, mean_and_deviation, paired_difference, seeds_table, study_page


def runs(full_by_seed: dict[int, float], rare: float | None = 5.0) -> dict[int, RunMetrics]:
    return {
        seed: RunMetrics("any", "test", "default", full, rare, full + seed, 90.0, {})
        for seed, full in full_by_seed.items()
    }


STUDY = {
    "extra": runs({0: 1.0}, rare=None),
    "ours": runs({0: 30.0, 1: 34.0}),
    "baseline": runs({0: 29.0, 1: 31.0, 2: 99.0}),
}


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_mean_and_sample_deviation_by_hand():
    estimate = mean_and_deviation([1.0, 2.0, 6.0])
    assert estimate.mean == 3.0 and estimate.spread == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert str(mean_and_deviation([2.0])) == "2.00"


def test_difference_is_paired_by_seed():
    estimate = paired_difference({0: 30.0, 1: 34.0}, {1: 31.0, 0: 29.0, 2: 99.0})
    assert estimate is not None and estimate.mean == 2.0
    assert estimate.spread == pytest.approx(math.sqrt(2) / math.sqrt(2))  # differences 1 and 3: deviation sqrt 2
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_table_has_mean_and_deviation_in_the_order_of_params():
    rows = cells(seeds_table(STUDY, {"baseline": "plain", "unused": "", "ours": "whole"}))
    assert rows[0] == ["variant", "desc", "seeds", "Full", "Rare", "Non-rare"]
    assert rows[2][:3] == ["baseline", "plain", "3"]
    assert rows[3] == ["ours", "whole", "2", "32.00 ± 2.83", "5.00 ± 0.00", "32.50 ± 3.54"]
    assert rows[4] == ["extra", "", "1", "1.00", "\N{EN DASH}", "1.00"]


def test_differences_are_those_of_interest_with_their_standard_error():
    rows = cells(differences_table(STUDY))
    assert rows[2:] == [["ours - baseline", "2", "2.00 ± 1.00", "0.00 ± 0.00", "2.00 ± 1.00"]]
    assert differences_table({"ours": STUDY["ours"]}) == ""


def test_page_says_what_its_numbers_are():
    page = study_page(STUDY, {}, "Seeds: toyworld")
    assert page.startswith("# Seeds: toyworld\n") and page.endswith("|\n")
    assert "standard deviation" in page and "standard error" in page
    assert "standard error" not in study_page({"ours": STUDY["ours"]}, {}, "")
