from __future__ import annotations

import numpy as np

from pipeline.evaluation.error_types import BACKGROUND, RIGHT
from pipeline.evaluation.fusion import Factors
from pipeline.report.selection import Findings
from pipeline.report.variant_sheets import balances, choose_images, compared
from tests.evaluation.worlds import detections, ground_truth

BOX = (0, 0, 8, 8)


def test_balance_is_right_minus_wrong_minus_missed():
    truth = ground_truth([(0, 0, BOX, BOX), (0, 1, BOX, BOX), (1, 0, BOX, BOX)], 3)
    found = detections([(0, 0, BOX, BOX, 0.9), (0, 1, BOX, BOX, 0.8), (1, 1, BOX, BOX, 0.7), (2, 1, BOX, BOX, 0.6)])
    none = np.zeros(4)
    findings = Findings(
        found,
        np.array([RIGHT, BACKGROUND, BACKGROUND, BACKGROUND], np.int8),
        np.full(4, -1),
        Factors({}, none, none, {}),
    )
    # image 0: one right, one wrong, one missed; image 1: one wrong, one missed; image 2: one wrong
    assert balances(findings, truth).tolist() == [-1, -2, -1]


def test_gains_losses_and_the_middle_of_the_ranking():
    gains = np.array([0, 5, 9, 0, -3, 5, -7, 1, 0, -3, 100])
    chosen = choose_images(gains, np.arange(10))  # image 10 has no annotated pair
    assert chosen == {
        "gain 1": 2, "gain 2": 1, "gain 3": 5,
        "loss 1": 6, "loss 2": 4, "loss 3": 9,
        "middle 1": 0, "middle 2": 3,
    }  # fmt: skip


def test_few_images_are_shown_once_each():
    assert choose_images(np.array([1, 2]), np.arange(2)) == {"gain 1": 1, "gain 2": 0}
    assert choose_images(np.zeros(3, int), np.zeros(0, int)) == {}


def test_ours_is_held_against_the_baseline_where_both_are_there():
    assert compared(["exp1", "ours", "baseline"]) == ("ours", "baseline")
    assert compared(["exp1", "exp3"]) == ("exp3", "exp1")
    assert compared(["ours"]) == ("ours", None)
