"""HICO-DET through `dvc repro`, then what is done with its results."""

from __future__ import annotations

import json

import pytest

from tests.clones import run_in
from tests.downloads import hicodet_download
from tests.dry_runs.reduced import reduced_copy

pytestmark = pytest.mark.slow


def test_hicodet(tmp_path, weights):
    download = hicodet_download(tmp_path / "hico_20160224_det", 16, 8)
    folder = reduced_copy(tmp_path / "copy", "hicodet", download, weights, "fasterrcnn_resnet50_fpn")
    done = run_in(folder, "dvc", "repro")
    metrics = json.loads((folder / "results/hicodet/ours.json").read_text())
    assert metrics["counts"] | {"images": 8, "hoi_classes": 600} == metrics["counts"]
    assert metrics["groups"] == {"full": 600, "rare": 138, "non_rare": 462}
    assert metrics["counts"]["detections"] > 100
    assert 0 <= metrics["full"] <= 100
    assert "V-COCO" not in done.stderr
    assert "<svg role=" in (folder / "results/hicodet/report/index.html").read_text()
    runs = folder / "manifests/hicodet/runs"  # the toyworld's, which are committed, have no cache here
    own = [str(path.relative_to(folder)) for path in sorted(runs.iterdir())]
    assert "as recorded" in run_in(folder, "weakhoi", "verify", "--images", *own).stdout
    for name in ("prepare", "evaluate-ours"):
        assert "byte-identical" in run_in(folder, "weakhoi", "rerun", f"manifests/hicodet/runs/{name}.json").stdout
    run_in(folder, "weakhoi", "export", "--dataset", "hicodet", "--format", "hicodet-mat", "--output", "official")
    assert len(list((folder / "official").iterdir())) == 80
    photos = download / "images/test2015"
    run_in(folder, "weakhoi", "predict", str(photos), "--dataset", "hicodet", "--threshold", "0", "--json", "p.json")
    predicted = json.loads((folder / "p.json").read_text())
    assert len(predicted["images"]) == 8
    assert "fasterrcnn_resnet50_fpn" in predicted["detector"]
    assert any(image["detections"] for image in predicted["images"])
    bank = json.loads((folder / "manifests/hicodet/runs/encode_prompts.json").read_text())["counts"]
    assert bank == {"hoi_classes": 600, "width": 1024}
