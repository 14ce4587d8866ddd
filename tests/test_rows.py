"""`dvc repro` of a row that is scored by another run's dump too: Abl 3, which multiplies by Abl 1's scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clones import copy_small_toyworld, run_in, stages_run
from tests.roots import edit_params

pytestmark = pytest.mark.slow


def full(root: Path, row: str) -> float:
    return json.loads((root / f"results/toyworld/{row}.json").read_text())["full"]


def test_abl3_is_scored_again_when_abl1_changes(tmp_path):
    copy_small_toyworld(tmp_path, "abl3", "abl1", num_test=8)
    run_in(tmp_path, "dvc", "repro")  # to the report, though Abl 1 is not trained
    before = full(tmp_path, "abl3")
    edit_params(tmp_path, lambda d: d["variants"]["abl1"]["model"].update(clip_resnet={"roi_size": 1}))
    ran = stages_run(run_in(tmp_path, "dvc", "repro"))
    assert {"train@toyworld-abl1", "infer@toyworld-abl1", "evaluate@toyworld-abl3", "report@toyworld"} <= ran
    assert "train@toyworld-abl3" not in ran
    after = full(tmp_path, "abl3")
    run_in(tmp_path, "weakhoi", "evaluate", "--dataset", "toyworld", "--variant", "abl3")
    assert full(tmp_path, "abl3") == after != before
