"""V-COCO through `dvc repro`, and a row of each method."""

from __future__ import annotations

import json

import pytest

from tests.clones import run_in
from tests.downloads import vcoco_download
from tests.dry_runs.reduced import ROWS, reduced_copy, run_rows

pytestmark = pytest.mark.slow


def test_vcoco(tmp_path, weights):
    download = vcoco_download(tmp_path / "v-coco", {"train": 8, "val": 8, "test": 8})
    folder = reduced_copy(
        tmp_path / "copy", "vcoco", download, weights, "RN50", "fasterrcnn_mobilenet_v3_large_320_fpn"
    )
    done = run_in(folder, "dvc", "repro")
    assert "V-COCO" in done.stderr + done.stdout  # the detector may have seen the test images
    metrics = json.loads((folder / "results/vcoco/ours.json").read_text())
    assert metrics["counts"]["images"] == 8
    assert len(metrics["per_role"]) == 25
    assert len(metrics["per_agent"]) == 26
    assert 0 <= metrics["ap_role_s1"] <= metrics["ap_role_s2"] <= 100
    assert metrics["per_agent"]["stand"] == 0  # annotated, but no pair shows it
    assert "AP role S1" in run_in(folder, "weakhoi", "summary", "--dataset", "vcoco").stdout
    detect = json.loads((folder / "manifests/vcoco/runs/detect-test.json").read_text())
    assert detect["params"]["detect"]["trained_on"] == "COCO train2017"

    run_in(folder, "weakhoi", "export", "--dataset", "vcoco", "--format", "vcoco-pickle", "--output", "d.pkl")
    data = download / "data"
    files = ["--annotations", str(data / "vcoco/vcoco_test.json"), "--detections", "d.pkl", "--output", "m.json"]
    files += ["--instances", str(data / "instances_vcoco_all_2014.json")]
    run_in(folder, "weakhoi", "evaluate-detections", "--dataset", "vcoco", *files)
    official = json.loads((folder / "m.json").read_text())
    for name in ("ap_role_s1", "ap_role_s2"):
        assert 100 * official[name] == pytest.approx(metrics[name], abs=0.01)
    run_rows(folder, "vcoco", download / "images/val2014", predicting=tuple(ROWS.values()))
