"""The model of the package: its bytes, its settings, and how close it is to the model that it was made from."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.detection.params import DetectParams
from pipeline.evaluation.params import EvaluateParams
from pipeline.inference.params import InferParams
from pipeline.prediction.shipped import MODELS, ShippedModel, ship, shipped_names
from pipeline.store.files import files_below, sha256_of
from tests.conftest import ROOT

SHIPPED = ShippedModel("toyworld", Run("ours"))


def test_the_shipped_model_matches_its_manifest():
    assert shipped_names() == ["toyworld/ours"]
    manifest = json.loads(SHIPPED.manifest_path.read_text())
    assert manifest["sha256"] == sha256_of(SHIPPED.folder)
    assert manifest["bytes"] == sum(path.stat().st_size for path in files_below(SHIPPED.folder)) < 3_000_000
    clip = "pipeline/toyworld/weights/clip.safetensors"
    assert manifest["made_from"][clip] == sha256_of(ROOT / clip)


def test_its_settings_are_those_of_params_yaml():
    params = load_params(ROOT / "params.yaml", "toyworld", Run("ours"))
    for kind in (DetectParams, InferParams, EvaluateParams):
        assert SHIPPED.params[kind] == params[kind]


def test_a_shipped_model_is_the_trained_one_in_half_precision(tmp_path):
    state = {"weight": torch.tensor([[1.0, 1e-3], [-0.3, 7.0]]), "bias": torch.tensor([1e-9]), "steps": torch.tensor(3)}
    model = ShippedModel("toyworld", Run("ours"), tmp_path)
    size = ship(model, state, {"a": 1}, params=[InferParams(4, 8)], made_from={"b": "c"})
    found, config = model.load()
    assert config == {"a": 1}
    assert model.params[InferParams] == InferParams(4, 8)
    torch.testing.assert_close(found["weight"].float(), state["weight"], rtol=2**-11, atol=0)
    assert torch.equal(found["bias"], state["bias"]) and torch.equal(found["steps"], state["steps"])
    assert size == sum(path.stat().st_size for path in files_below(model.folder))


def test_a_damaged_model_is_refused(tmp_path):
    shutil.copytree(MODELS, tmp_path, dirs_exist_ok=True)
    model = ShippedModel("toyworld", Run("ours"), tmp_path)
    weights = model.folder / "model.safetensors.xz"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"ours: sha256 is .*, its manifest says .*; install weakhoi again"):
        model.load()
