"""`dvc repro` of rows that need more than their own run: another text encoder's bank, another run's scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.test_end_to_end import _stages_run, copy_repository, run_in, set_params

pytestmark = pytest.mark.slow


def set_row(root: Path, name: str, section: str, values: dict) -> None:
    path = root / "params.yaml"
    document = yaml.safe_load(path.read_text())
    document["variants"][name][section] |= values
    path.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    copy_repository(folder)
    path = folder / "params.yaml"
    document = yaml.safe_load(path.read_text()) | {"run_variants": ["abl3", "abl1", "exp10"]}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    set_params(folder, "toyworld", "prepare", {"num_images": {"train": 12, "val": 1, "test": 8}})
    set_params(folder, "toyworld", "train", {"epochs": 1, "batch_size": 4})
    set_params(folder, "toyworld", "report", {"num_images": 2, "gallery_images": 2})
    run_in(folder, "dvc", "repro")  # to the report, though Abl 1 is not trained
    return folder


def full(root: Path, row: str) -> float:
    return json.loads((root / f"results/toyworld/{row}.json").read_text())["full"]


def test_abl3_is_scored_again_when_abl1_changes(root):
    before = full(root, "abl3")
    set_row(root, "abl1", "model", {"clip_resnet": {"roi_size": 1}})
    ran = _stages_run(run_in(root, "dvc", "repro"))
    assert {"train@toyworld-abl1", "infer@toyworld-abl1", "evaluate@toyworld-abl3", "report@toyworld"} <= ran
    assert not {"train@toyworld-abl3", "train@toyworld-exp10"} & ran
    after = full(root, "abl3")
    run_in(root, "weakhoi", "evaluate", "--dataset", "toyworld", "--variant", "abl3")
    assert full(root, "abl3") == after != before


def test_exp10_is_trained_on_the_prompts_of_now(root):
    set_params(root, "toyworld", "encode_prompts", {"template": "a photo of a person {verb} {article} {object}"})
    assert "train@toyworld-exp10" in _stages_run(run_in(root, "dvc", "repro", "train@toyworld-exp10"))
    config = json.loads((root / "cache/toyworld/checkpoints/exp10/config.json").read_text())
    assert all(prompt.startswith("a photo of a person") for prompt in config["origin"]["prompts"])
