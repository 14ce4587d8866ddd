"""Rows that start from another text encoder than the dataset's CLIP: `train` encodes their bank, each time anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.stages.own_dataset import copied, weakhoi, write_params

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

    write_params(root, edit)


def prompts_of(root: Path) -> list[str]:
    done = weakhoi(root, *TRAINED)
    assert done.exit_code == 0, done.output
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
    done = weakhoi(root, "rerun", str(path))
    assert "byte-identical" in done.output


def test_a_row_of_another_clip_is_encoded_by_that_one(root):
    path = root / "params.yaml"
    document = yaml.safe_load(path.read_text())
    document["variants"]["rn101"]["model"]["clip"] = "other.safetensors"
    path.write_text(yaml.safe_dump(document))
    shutil.copy(root / document["custom"]["clip"]["weights"], root / "other.safetensors")
    done = weakhoi(root, "train", "--dataset", "custom", "--variant", "rn101")
    assert done.exit_code == 0, done.output
    record = json.loads((root / "manifests/custom/runs/train-rn101.json").read_text())
    assert "other.safetensors" in record["inputs"]


def test_a_missing_bank_of_the_dataset_names_the_command_that_makes_it(root):
    done = weakhoi(root, "train", "--dataset", "custom")
    assert done.exit_code == 2
    command = done.output.split('run "weakhoi ')[1].split('"')[0].split()
    assert weakhoi(root, *command).exit_code == 0
    assert weakhoi(root, "train", "--dataset", "custom").exit_code == 0
