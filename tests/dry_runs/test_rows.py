"""A row of each method, and of each further encoder, on HICO-DET."""

from __future__ import annotations

import json

import pytest

from tests.downloads import hicodet_download
from tests.dry_runs.reduced import DINOV2, LARGE_VIT, MADE, VIT, reduced_copy, run_every_method, run_rows
from tests.real_weights import VIT_L14_336, save_random_clip
from tests.small_dinov2 import VIT_S14, random_dinov2, save_dinov2

pytestmark = pytest.mark.slow


def test_methods(tmp_path, weights):
    download = hicodet_download(tmp_path / "hico_20160224_det", 8, 4)
    folder = reduced_copy(tmp_path / "copy", "hicodet", download, weights, "fasterrcnn_resnet50_fpn")
    run_every_method(folder, "hicodet", MADE, download / "images/test2015", VIT)


def test_large_vit(tmp_path, weights):
    save_random_clip(weights / "ViT-L-14-336px.pt", VIT_L14_336)
    download = hicodet_download(tmp_path / "hico_20160224_det", 2, 2)
    folder = reduced_copy(tmp_path / "copy", "hicodet", download, weights, "fasterrcnn_resnet50_fpn")
    run_rows(folder, "hicodet", MADE, [LARGE_VIT], download / "images/test2015")
    config = json.loads((folder / f"cache/hicodet/checkpoints/{LARGE_VIT}/config.json").read_text())
    assert config["image_size"] == 336 and config["backbone"]["visual"]["layers"] == 24


def test_dinov2(tmp_path, weights):
    """ViT-S/14 with registers: RegFormer's published encoder at 518 pixels, ours at 224."""
    save_dinov2(weights / "dinov2", random_dinov2(0, **VIT_S14))
    download = hicodet_download(tmp_path / "hico_20160224_det", 8, 4)
    folder = reduced_copy(tmp_path / "copy", "hicodet", download, weights, "fasterrcnn_resnet50_fpn")
    run_rows(folder, "hicodet", MADE, DINOV2, download / "images/test2015")
    for row in DINOV2:
        inputs = json.loads((folder / f"manifests/hicodet/runs/train-{row}.json").read_text())["inputs"]
        assert str(weights / "dinov2/model.safetensors") in inputs
    config = json.loads((folder / "cache/hicodet/checkpoints/regformer_dinov2/config.json").read_text())
    assert config["image_size"] == 518 and config["backbone"]["sizes"]["hidden_size"] == 384
