"""Rows that start from another text encoder than the dataset's CLIP: `train` encodes their bank, each time anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.backbones.detector_fpn import DetectorFpn
from tests.roots import WEIGHTS, copied, edit_params, refused, repeats, succeeds
from tests.stages.own_dataset import edit_custom

pytestmark = pytest.mark.slow

TRAINED = ("train", "--dataset", "custom", "--variant", "exp10")


@pytest.fixture
def root(own_dataset, tmp_path) -> Path:
    """Without the dataset's own bank, which these rows do not read."""
    root = copied(own_dataset, tmp_path / "root")
    (root / "cache/custom/knowledge_bank.h5").unlink()
    set_prompts(root)
    return root


def set_prompts(root: Path, **changes: str) -> None:
    def edit(section):
        section["train"]["epochs"] = 0
        section["encode_prompts"] = section["encode_prompts"] | {"text_encoder": "words"} | changes

    edit_custom(root, edit)


def prompts_of(root: Path) -> list[str]:
    succeeds(root, *TRAINED)
    return json.loads((root / "cache/custom/checkpoints/exp10/config.json").read_text())["origin"]["prompts"]


def test_the_bank_follows_the_template(root):
    assert prompts_of(root)[0].startswith("a person ")
    set_prompts(root, template="a photo of a person {verb} {article} {object}")
    assert all(prompt.startswith("a photo of a person ") for prompt in prompts_of(root))


def test_the_manifest_holds_what_the_bank_was_made_from(root):
    prompts_of(root)
    path = root / "manifests/custom/runs/train-exp10.json"
    record = json.loads(path.read_text())
    assert record["params"]["encode_prompts"]["text_encoder"] == "words"
    assert "cache/custom/knowledge_bank.h5" not in record["inputs"]
    repeats(root, path)


def test_a_file_that_the_backbone_notes_is_an_input(root, monkeypatch):
    build = DetectorFpn.build

    def noting(sources, params):
        sources.note(sources.root / "own.txt")
        return build(sources, params)

    (root / "own.txt").write_text("weights")
    monkeypatch.setattr(DetectorFpn, "build", noting)
    prompts_of(root)
    assert "own.txt" in json.loads((root / "manifests/custom/runs/train-exp10.json").read_text())["inputs"]


def test_a_row_of_another_clip_is_encoded_by_that_one(root):
    edit_params(root, lambda document: document["variants"]["rn101"]["model"].update(clip="other.safetensors"))
    shutil.copy(root / WEIGHTS / "clip.safetensors", root / "other.safetensors")
    succeeds(root, "train", "--dataset", "custom", "--variant", "rn101")
    record = json.loads((root / "manifests/custom/runs/train-rn101.json").read_text())
    assert "other.safetensors" in record["inputs"]


def test_a_missing_bank_of_the_dataset_names_the_command_that_makes_it(root):
    line = refused(root, "train", "--dataset", "custom")
    succeeds(root, *line.split('run "weakhoi ')[1].split('"')[0].split())
    succeeds(root, "train", "--dataset", "custom")
