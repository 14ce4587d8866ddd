"""HICO-DET through `dvc repro`, what is done with its results, and a row of each method and each further encoder."""

from __future__ import annotations

import json

import pytest

from tests.clones import run_in
from tests.downloads import hicodet_download
from tests.dry_runs.reduced import DINOV2, LARGE_VIT, VIT, inputs_of, reduced_copy, run_rows
from tests.small_dinov2 import VIT_S14, random_dinov2, save_dinov2

pytestmark = pytest.mark.slow


def test_hicodet(tmp_path, weights):
    save_dinov2(weights / "dinov2", random_dinov2(0, **VIT_S14))
    download = hicodet_download(tmp_path / "hico_20160224_det", 2, 2)
    folder = reduced_copy(tmp_path / "copy", "hicodet", download, weights, "RN50-2", "fasterrcnn_resnet50_fpn")
    done = run_in(folder, "dvc", "repro")
    metrics = json.loads((folder / "results/hicodet/ours.json").read_text())
    assert metrics["counts"] | {"images": 2, "hoi_classes": 600} == metrics["counts"]
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
    run_in(
        folder,
        "weakhoi",
        "predict",
        str(min(photos.iterdir())),
        "--dataset",
        "hicodet",
        "--threshold",
        "0",
        "--json",
        "p.json",
    )
    predicted = json.loads((folder / "p.json").read_text())
    assert "fasterrcnn_resnet50_fpn" in predicted["detector"]
    assert predicted["images"][0]["detections"]
    bank = json.loads((folder / "manifests/hicodet/runs/encode_prompts.json").read_text())["counts"]
    assert bank == {"hoi_classes": 600, "width": 1024}

    run_rows(folder, "hicodet", photos, VIT, LARGE_VIT, *DINOV2, predicting=(VIT,))
    configs = {
        row: json.loads((folder / f"cache/hicodet/checkpoints/{row}/config.json").read_text())
        for row in (LARGE_VIT, *DINOV2)
    }
    assert [config["image_size"] for config in configs.values()] == [
        336,
        518,
        224,
    ]  # RegFormer's published encoder, ours
    assert configs[LARGE_VIT]["backbone"]["visual"]["layers"] == 24
    for row in DINOV2:
        assert str(weights / "dinov2/model.safetensors") in inputs_of(folder, "hicodet", row)
        assert configs[row]["backbone"]["sizes"]["hidden_size"] == 384
