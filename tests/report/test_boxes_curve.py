from __future__ import annotations

import io

from PIL import Image

from pipeline.report.boxes_curve import boxes_plot, boxes_rows, boxes_table
from tests.report.test_study import STUDY, cells

WITH_BOXES = {
    "ours_plus": STUDY["ours"],
    "supervised_25": STUDY["baseline"],
    "supervised": {0: STUDY["ours"][1]},
    "mx_hoi_like": STUDY["ours"],
}
SHARES = {"ours_plus": 0.0, "supervised_25": 0.25, "supervised": 1.0}


def test_rows_of_a_curve_stand_by_their_share_and_a_start_alone_is_no_curve():
    rows = cells(boxes_table(WITH_BOXES, SHARES))[2:]
    assert [row[:4] for row in rows] == [
        ["ours_plus", "ours_plus", "0 %", "2"],
        ["ours_plus", "supervised_25", "25 %", "3"],
        ["ours_plus", "supervised", "100 %", "1"],
    ]
    assert rows[0][4] == "32.00 ± 2.83"
    assert boxes_rows(WITH_BOXES) == list(SHARES)


def test_a_study_without_boxes_has_no_table():
    assert boxes_table(STUDY, {}) == "" and boxes_rows(STUDY) == []


def test_the_plot_is_the_same_bytes_each_time():
    plots = {boxes_plot(WITH_BOXES, SHARES) for _ in range(2)}
    assert len(plots) == 1
    assert Image.open(io.BytesIO(plots.pop())).format == "PNG"
