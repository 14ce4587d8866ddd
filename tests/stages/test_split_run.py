"""What `infer` and `represent` open: each process digests its inputs once, before it opens them."""

from __future__ import annotations

import json

import pytest

import pipeline.store.inputs
from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.inference.jobs import InferJob, SplitRun
from pipeline.inference.params import InferParams
from pipeline.store.files import sha256_of
from tests.roots import copied, succeeds

INPUTS = {
    "cache/custom/checkpoints/ours",
    "cache/custom/proposals/test.h5",
    "manifests/custom/test.json",
    "manifests/custom/vocabulary.json",
}
MADE_BY_NO_STAGE = {  # and read by the stages before: detect, encode_prompts, prepare
    "pipeline/toyworld/weights/clip.safetensors",
    "pipeline/toyworld/weights/detector.safetensors",
    "data/custom/labels.csv",
}


@pytest.fixture
def root(own_dataset, tmp_path):
    return copied(own_dataset, tmp_path / "root")


@pytest.mark.parametrize("stage", ["infer", "represent"])
def test_inputs_are_digested_once(stage, root, monkeypatch):
    digested = []
    monkeypatch.setattr(pipeline.store.inputs, "sha256_of", lambda path: digested.append(path) or sha256_of(path))
    succeeds(root, stage, "--dataset", "custom")
    assert sorted(path.relative_to(root).as_posix() for path in digested) == sorted(INPUTS | MADE_BY_NO_STAGE)
    manifest = json.loads((root / f"manifests/custom/runs/{stage}-ours-test.json").read_text())
    assert manifest["inputs"] == {name: sha256_of(root / name) for name in INPUTS}


def test_what_is_opened_anew_is_digested_anew(root):
    """As on a worker, which is compared with its caller by the digest."""
    layout = Layout(root, "custom")
    run = SplitRun(layout, Run("ours"), "cpu", channels_last=True)
    job = InferJob(run, load_params(layout.params, "custom", Run("ours"))[InferParams])
    first, second = job.open(), job.open()
    assert (first.digest, first.inputs) == (second.digest, second.inputs)
    layout.stage_manifest("train", Run("ours")).unlink()
    config = layout.checkpoint(Run("ours")) / "config.json"
    config.write_text(config.read_text() + "\n")
    third = job.open()
    assert third.digest != first.digest
    assert {path for path in first.inputs if first.inputs[path] != third.inputs[path]} == {
        layout.checkpoint(Run("ours"))
    }
