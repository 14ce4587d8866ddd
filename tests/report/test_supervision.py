from __future__ import annotations

import json

import pytest

from pipeline.core.errors import ArtifactError
from pipeline.report.supervision import ROWS, LabelQuality, read_label_quality, supervision_table
from tests.report.test_study import STUDY, cells, run_metrics

RUNS = {seed: run_metrics("any", {"full": 30.0 + seed}) for seed in (0, 1)}
MISSING = "\N{EN DASH}"


def test_rows_by_who_labels_with_what_the_labels_are_worth():
    study = {**STUDY, "ours_clip_labels": RUNS, "ours_captions": RUNS, "abl1": RUNS}
    rows = cells(supervision_table(study, {"captions": LabelQuality(93.04, 47.83, 59.49), "clip": None}))
    assert rows[0][:6] == ["labels", "row", "precision", "recall", "F1", "seeds"]
    assert [row[:2] for row in rows[2:]] == [
        ["annotated", "ours"],
        ["captions", "ours_captions"],
        ["CLIP's scores", "ours_clip_labels"],
        ["none", "abl1"],
    ]
    assert rows[3][2:7] == ["93.04", "47.83", "59.49", "2", "30.50 ± 0.71"]
    assert [row[2:5] for row in rows if row[1] in ("ours", "abl1", "ours_clip_labels")] == [[MISSING] * 3] * 3


def test_annotated_labels_alone_are_no_comparison():
    assert {"ours"} <= set(STUDY)
    assert supervision_table({**STUDY, "abl1": RUNS}, {}) == ""
    assert set(ROWS) == {"annotated", "captions", "clip", None}


def test_figures_of_labels_are_read_where_there_are_any(tmp_path):
    path = tmp_path / "clip.json"
    assert read_label_quality(path) is None
    path.write_text(json.dumps({"source": "clip", "precision": 50, "recall": 25.5, "class_f1": 30, "images": 3}))
    assert read_label_quality(path) == LabelQuality(50.0, 25.5, 30.0)
    path.write_text(json.dumps({"precision": 50}))
    with pytest.raises(ArtifactError, match=r"not figures of labels .* run weakhoi label-quality"):
        read_label_quality(path)
