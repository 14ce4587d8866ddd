from __future__ import annotations

import math

import pytest

from pipeline.report.number_text import Estimate, mean_and_deviation, percent, score_text, significant

DASH = "\N{EN DASH}"


def test_mean_and_sample_deviation_by_hand():
    estimate = mean_and_deviation([1.0, 2.0, 6.0])
    assert estimate.mean == 3.0 and estimate.spread == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert str(mean_and_deviation([2.0])) == "2.00"


def test_what_is_not_known_is_left_out():
    assert str(mean_and_deviation([])) == str(Estimate(math.nan, 1.0)) == percent(None) == percent(math.nan) == DASH
    assert str(Estimate(2.0, 0.125)) == "2.00 ± 0.12" and Estimate(61.4, 2.6).text(decimals=0) == "61 ± 3"
    assert percent(19.5) == "19.50"


def test_scores_by_hand():
    assert [score_text(score) for score in (1.0, 0.1, 0.03, 4.2e-6)] == ["1.00", "0.10", "0.030", "4.2e-06"]
    assert significant(0.00123456, 4) == 0.001235
