"""Inputs of another world: a stage names what was made from something else than what is there now, and the command.

The artifacts are whole and fit each other by name and number, so that nothing but the chain of manifests tells.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.config.layout import Layout
from pipeline.store.files import sha256_of
from tests.faults.stages import RUN, SEEDED, refused
from tests.roots import copied, edit_params, succeeds

pytestmark = pytest.mark.slow
# Run of a stage: one that takes its outputs.
TAKERS = {
    "detect-train": ("train", *RUN),
    "detect-test": ("infer", *RUN),
    "encode_prompts": ("train", *RUN),
    "train-ours": ("infer", *RUN),
    "seeds/train-ours-0": ("represent", *SEEDED),
    "infer-ours-test": ("evaluate", *RUN),
    "seeds/infer-ours-0-test": ("score", *SEEDED),
    "seeds/represent-ours-0-test": ("tsne",),
    "evaluate-ours": ("report",),
}


def record(root: Path, name: str) -> Path:
    return Layout(root, "toyworld").stage_manifests / f"{name}.json"


def make_otherwise(root: Path, name: str) -> str:
    """Change an artifact as little as may be, as if it had been made anew; return its new digest."""
    path = root / name
    if path.is_symlink() or path.parent.is_symlink():  # the shipped weights stay as they are
        folder = path.parent
        real = folder.resolve()
        folder.unlink()
        shutil.copytree(real, folder)
    with (path / "further" if path.is_dir() else path).open("ab") as stream:
        stream.write(b"\n")
    for manifest in Layout(root, "toyworld").stage_manifests.rglob("*.json"):
        document = json.loads(manifest.read_text())
        if name in document["outputs"]:
            document["outputs"][name] = sha256_of(path)
            manifest.write_text(json.dumps(document))
    return sha256_of(path)


@pytest.mark.parametrize("name", TAKERS)
def test_whatever_a_run_was_made_from_its_takers_refuse_another(root, tmp_path, name):
    for number, (source, before) in enumerate(json.loads(record(root, name).read_text())["inputs"].items()):
        copy = copied(root, tmp_path / f"copy {number}")
        after = make_otherwise(copy, source)
        line = refused(copy, *TAKERS[name])
        assert f"made from {source} of sha256 {before[:12]}" in line
        assert f"now it is {after[:12]}" in line and 'run "weakhoi ' in line


@pytest.mark.parametrize(
    "call", [("train", *RUN), ("infer", *RUN), ("represent", *SEEDED), ("evaluate", *RUN), ("score", *SEEDED),
             ("export", *RUN, "--format", "hicodet-mat", "--output", "exported"), ("tsne",), ("summary",), ("report",)],
    ids=lambda call: call[0],
)  # fmt: skip
def test_another_seed_is_prepared_and_nothing_detected(root, call):
    edit_params(root, lambda document: document["toyworld"]["prepare"].update(seed=7))
    succeeds(root, "prepare", "--dataset", "toyworld")
    line = refused(root, *call)
    assert "detect --dataset toyworld --split " in line and "made from manifests/toyworld/" in line


def test_a_model_trained_again_is_inferred_with_before_it_is_scored(root):
    edit_params(root, lambda document: document["toyworld"]["train"].update(learning_rate=0.005))
    succeeds(root, "train", "--dataset", "toyworld", *RUN)
    assert "checkpoints/ours of sha256" in refused(root, "evaluate", *RUN)
    for stage in ("infer", "evaluate", "report"):
        command = f"weakhoi {stage} --dataset toyworld --variant ours"
        if stage != "report":
            assert command in refused(root, "report")
        succeeds(root, stage, "--dataset", "toyworld", *(RUN if stage != "report" else ()))


def test_a_trained_model_predicts_whatever_was_prepared_since(root):
    """It needs none of the files that it was trained from."""
    make_otherwise(root, "manifests/toyworld/train.json")
    image = next((root / "cache/toyworld/images/test").iterdir())
    succeeds(root, "predict", str(image), "--dataset", "toyworld", *RUN)
