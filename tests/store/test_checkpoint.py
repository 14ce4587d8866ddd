import dataclasses
import json

import pytest
import torch

from pipeline.core.errors import ArtifactError
from pipeline.store.checkpoint import load_checkpoint, save_checkpoint
from pipeline.store.files import sha256_of
from tests.other_files import LFS


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {"a.weight": torch.randn(6, 4).T, "b": torch.tensor(1.5), "mask": torch.tensor([True, False])}


@pytest.fixture
def folder(tmp_path, state, vocabulary):
    save_checkpoint(tmp_path / "model", state, {"vocabulary": vocabulary.to_json(), "model": {"ktn": "softmax"}})
    return tmp_path / "model"


def test_round_trip_and_same_bytes(folder, state, vocabulary):
    found, config = load_checkpoint(folder, vocabulary=vocabulary)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())
    assert config["model"] == {"ktn": "softmax"}
    before = sha256_of(folder)
    save_checkpoint(folder, dict(reversed(state.items())), config)
    assert sha256_of(folder) == before


def test_shared_storage_is_saved_as_two_tensors(tmp_path):
    whole = torch.arange(6.0)
    save_checkpoint(tmp_path / "m", {"a": whole[:4], "b": whole[2:]}, {})
    found, _ = load_checkpoint(tmp_path / "m")
    assert torch.equal(found["a"], whole[:4])
    assert torch.equal(found["b"], whole[2:])


def test_another_vocabulary_is_refused(folder, vocabulary):
    fewer = dataclasses.replace(vocabulary, hoi_classes=vocabulary.hoi_classes[:3])
    with pytest.raises(ArtifactError, match=r"another vocabulary .*4 HOI classes; expected 3, 4, 3\); run"):
        load_checkpoint(folder, vocabulary=fewer)
    renamed = dataclasses.replace(vocabulary, verbs=("ride", "hold", "sip"))
    with pytest.raises(ArtifactError, match="another vocabulary"):
        load_checkpoint(folder, vocabulary=renamed)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_truncated_or_missing_files_are_refused(folder, vocabulary, name):
    whole = (folder / name).read_bytes()
    for length in (0, 7, len(whole) // 2, len(whole) - 3):
        (folder / name).write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match='run "dvc repro train"'):
            load_checkpoint(folder, vocabulary=vocabulary)
    (folder / name).write_bytes(LFS)
    reason = "cannot be read .a Git LFS pointer" if name == "model.safetensors" else "not JSON"
    with pytest.raises(ArtifactError, match=f'{name}: {reason}.*run "dvc repro train"'):
        load_checkpoint(folder)
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        load_checkpoint(folder, vocabulary=vocabulary)


@pytest.mark.parametrize("config", [{}, [], {"vocabulary": {"verbs": []}}])
def test_a_config_of_something_else_is_refused(folder, vocabulary, config):
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=r"config.json: not the config of a checkpoint"):
        load_checkpoint(folder, vocabulary=vocabulary)
