from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from pipeline.core.errors import ParamError, WeightsError
from pipeline.store.dinov2_checkpoint import build_dinov2, dinov2_config, find_dinov2, load_dinov2
from tests.small_dinov2 import random_dinov2, save_dinov2


@pytest.fixture
def folder(tmp_path) -> Path:
    return save_dinov2(tmp_path / "dinov2", random_dinov2(0))


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(folder: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_dinov2(find_dinov2(folder.name, folder.parent))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_without_transformers_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)  # importing it fails
    with pytest.raises(ParamError, match=r'dinov2 needs the package transformers; run "pip install weakhoi\[dinov2\]'):
        find_dinov2("any", tmp_path)


def test_a_name_is_found_in_the_cache_of_transformers_without_network(folder, tmp_path, monkeypatch):
    snapshot = tmp_path / "hub/models--me--small/snapshots/0a1b2c"
    shutil.copytree(folder, snapshot)
    (tmp_path / "hub/models--me--small/refs").mkdir()
    (tmp_path / "hub/models--me--small/refs/main").write_text("0a1b2c")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    files = find_dinov2("me/small", tmp_path)
    assert files == (snapshot / "config.json", snapshot / "model.safetensors")
    assert load_dinov2(files).config.hidden_size == 16
    with pytest.raises(WeightsError, match=r'"me/other" is no folder, and neither in the cache .* nor downloadable'):
        find_dinov2("me/other", tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_needs_both_files(folder, name):
    (folder / name).unlink()
    assert f"dinov2 has no {name}; expected config.json and model.safetensors" in refused(folder)


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda data: data[: len(data) // 2], "cannot be read (a safetensors file cut short)"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer and not the file itself"),
        (lambda data: b"<!doctype html>", "a web page"),
    ],
)
def test_damaged_weights_are_named(folder, damage, part):
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    line = refused(folder)
    assert str(path) in line and part in line


def test_another_architecture_is_refused(folder):
    edit_config(folder, model_type="clip_vision_model")
    assert "config.json: model_type is 'clip_vision_model'; expected a DINOv2, dinov2_with_registers" in refused(folder)
    (folder / "config.json").write_text("[1]")
    assert "model_type is None" in refused(folder)
    (folder / "config.json").write_text("{")
    assert "config.json: not JSON" in refused(folder)


def test_weights_of_other_sizes_are_refused(folder):
    edit_config(folder, hidden_size=32)
    assert "model.safetensors: refused by transformers" in refused(folder)


def test_a_missing_tensor_is_named(folder):
    path = folder / "model.safetensors"
    state = load_file(path)
    del state["layernorm.weight"]
    save_file(state, path, {"format": "pt"})
    assert "no tensor layernorm.weight, which config.json asks for" in refused(folder)


def test_sizes_that_make_no_model_are_refused():
    random_dinov2(0)
    with pytest.raises(WeightsError, match=r"a/config\.json: refused by transformers"):
        build_dinov2({"model_type": "dinov2", "num_hidden_layers": "many"}, "a/config.json")


def test_the_config_holds_sizes_and_not_who_wrote_it(folder):
    config = dinov2_config(folder / "config.json")
    assert {"transformers_version", "architectures", "dtype"}.isdisjoint(config)
    assert build_dinov2(config, "config.json").config.num_register_tokens == 4
