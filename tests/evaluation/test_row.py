"""A scored run: its main numbers, as one line and as the file that DVC shows, and the detections that it writes."""

import dataclasses

import numpy as np

from pipeline.evaluation import row, summary
from pipeline.evaluation.error_types import RIGHT
from pipeline.evaluation.fusion import fuse
from pipeline.evaluation.hicodet import Rules
from pipeline.evaluation.row import Row, score_dump
from pipeline.evaluation.selection import selected_rows
from pipeline.store.detections_dump import open_matched
from tests.evaluation.test_fusion import WHOLE
from tests.evaluation.test_weight_sweep import GROUPS, VOCABULARY, opened, world

VCOCO = {"ap_role_s1": 50.0, "ap_role_s2": 60.0, "ap_agent": 70.0}


def headline_text(roles, agents):
    per_role = {str(row): {"s1": ap, "s2": ap} for row, ap in enumerate(roles)}
    metrics = VCOCO | {"per_role": per_role, "per_agent": dict(enumerate(agents))}
    return Row(metrics=metrics, sweeps={}, source=None, rules=None, evaluation=None).headline_text


def test_classes_without_positives_are_told():
    assert headline_text([50.0, None, 0.0], [70.0, None]).endswith("(1 roles, 1 actions without positives: 0 there)")
    assert headline_text([50.0, 50.0], [70.0, 0.0]) == "AP_role S1 50.00  S2 60.00  AP_agent 70.00"


def test_detections_are_those_that_the_rules_select(tmp_path, monkeypatch):
    monkeypatch.setattr(row, "IMAGES_AT_ONCE", 3)
    dump, truth = world()
    wider = np.array([0, 0, 16, 16], np.float32)  # so that neighbors overlap
    dump = dataclasses.replace(dump, boxes=dump.boxes + wider)
    boxes = {name: getattr(truth, name) + wider for name in ("human_boxes", "object_boxes")}
    truth = dataclasses.replace(truth, **boxes)
    params = dataclasses.replace(WHOLE, pair_nms=0.0)
    scored = score_dump(opened(dump, tmp_path / "x.zarr"), params, truth, GROUPS, keep_matches=True)
    scored.write_detections(tmp_path / "detections.zarr", "ours", 8)
    written = open_matched(tmp_path / "detections.zarr", run="ours", remedy="")
    every = fuse(dump, params)
    rows = selected_rows(every, every.scores, Rules.of_params(VOCABULARY.hoi_object_ids, params))
    assert 0 < len(rows) < len(every) and scored.metrics["counts"]["detections"] == len(rows)
    for name, column in vars(every.take(rows)).items():
        np.testing.assert_array_equal(written.read_column(name), column)
    assert (written.read_column("error") == RIGHT).sum() == len(scored.result.hit_hoi_id) > 0


def test_the_file_of_main_numbers_holds_scores_alone():
    metrics = {"setting": "default", "full": 30.0, "ours": None, "max_recall": 80.0, "counts": {"images": 7}}
    metrics |= {"groups": {"full": 40, "ours": 0}}
    assert summary.headline(metrics) == {"full": 30.0, "ours": None}
    assert list(summary.headline(metrics | VCOCO)) == [*VCOCO, "full", "ours"]
