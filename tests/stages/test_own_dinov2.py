"""Rows on DINOv2, from training to inference, on a dataset of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.roots import WEIGHTS, copied, edit_params, refused, succeeds
from tests.small_dinov2 import random_dinov2, save_dinov2

pytestmark = pytest.mark.slow

ROWS = ("regformer_dinov2", "ours_dinov2")


@pytest.fixture
def root(own_dataset, tmp_path, seed) -> Path:
    """With a small DINOv2 under `dinov2`, whose positions are for images of 64 pixels."""
    root = copied(own_dataset, tmp_path / "root")
    save_dinov2(root / "dinov2", random_dinov2(seed))

    def edit(document):
        for row in ROWS:
            variant = document["variants"][row]
            variant["train"] = variant["train"] | {"epochs": 1, "batch_size": 8}
            variant["model"] |= {"image_size": 160, "dinov2": {"weights": "dinov2"}}
        document["variants"]["regformer_dinov2"]["model"]["clip"] = f"{WEIGHTS}/clip.safetensors"

    edit_params(root, edit)
    return root


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_trained_and_infers_and_its_files_are_inputs(root, row):
    run = ("--dataset", "custom", "--variant", row)
    succeeds(root, "train", *run)
    succeeds(root, "infer", *run)
    record = json.loads((root / f"manifests/custom/runs/train-{row}.json").read_text())
    assert {"dinov2/config.json", "dinov2/model.safetensors"} <= set(record["inputs"])
    assert record["params"]["model"]["settings"]["dinov2"] == {"weights": "dinov2"}


def test_a_folder_that_is_not_there_is_one_line(root, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    edit_params(root, lambda document: document["variants"]["ours_dinov2"]["model"]["dinov2"].update(weights="dino"))
    line = refused(root, "train", "--dataset", "custom", "--variant", "ours_dinov2")
    assert 'model.dinov2.weights: "dino" is no folder' in line and "give a folder of config.json and" in line
