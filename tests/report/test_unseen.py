from __future__ import annotations

from pipeline.report.unseen import unseen_table, whole_rows
from tests.report.test_study import STUDY, cells, run_metrics

SEEN = {seed: run_metrics("any", {"full": 30.0 + seed, "unseen": 10.0, "seen": 40.0}) for seed in (0, 1)}
NAMES = [
    f"{row}+train.unseen={split}+evaluate.unseen={split}" for row in ("regformer", "ours") for split in ("uv", "uo")
]


def test_rows_by_split_then_row():
    study = {**STUDY, **dict.fromkeys(NAMES, SEEN), "ours+train.epochs=1": SEEN}
    rows = cells(unseen_table(study))[2:]
    assert [row[:2] for row in rows] == [["uo", "ours"], ["uo", "regformer"], ["uv", "ours"], ["uv", "regformer"]]
    assert rows[0][2:] == ["7", "2", "10.00 ± 0.00", "40.00 ± 0.00", "30.50 ± 0.71"]
    assert whole_rows(study) == STUDY


def test_a_study_without_them_has_no_table():
    assert unseen_table(STUDY) == ""
