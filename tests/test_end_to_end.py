"""A scratch clone through `dvc repro` on a reduced toyworld: what a newcomer does, small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.clones import copy_repository, run_in, set_params, stages_run

pytestmark = pytest.mark.slow


def reduced_copy(folder: Path) -> Path:
    copy_repository(folder)
    images = {"num_images": {"train": 12, "val": 2, "test": 8}}
    set_params(folder, "toyworld", prepare=images, train={"epochs": 1}, report={"num_images": 4})
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    folder = reduced_copy(tmp_path_factory.mktemp("clone"))
    run_in(folder, "dvc", "repro")
    return folder


def test_repro_leaves_metrics_report_and_manifests_that_verify(clone):
    for variant in ("ours", "baseline"):
        metrics = json.loads((clone / f"results/toyworld/{variant}.json").read_text())
        assert 0 <= metrics["full"] <= 100
        assert metrics["counts"]["images"] == 8
        assert metrics["max_recall"] > 30  # proposals and pairing find most pairs, whatever the scores
    assert "<svg role=" in (clone / "results/toyworld/report/index.html").read_text()
    assert "as recorded" in run_in(clone, "weakhoi", "verify", "--images").stdout
    assert "ours" in run_in(clone, "weakhoi", "summary", "--dataset", "toyworld").stdout


def test_nothing_changed_runs_nothing(clone):
    assert stages_run(run_in(clone, "dvc", "repro")) == set()


def test_training_manifest_holds_no_box(clone):
    manifest = json.loads((clone / "manifests/toyworld/train.json").read_text())
    assert {key for image in manifest["images"] for key in image} == {
        "image_id", "path", "width", "height", "sha256", "hoi_ids",
    }  # fmt: skip
    assert not (clone / "cache/toyworld/ground_truth/train.json").exists()


def test_rerun_from_the_manifest_alone_gives_the_same_bytes(clone):
    for name in ("encode_prompts", "detect-test", "train-ours"):  # others: tests/test_sharing.py, tests/stages/
        done = run_in(clone, "weakhoi", "rerun", f"manifests/toyworld/runs/{name}.json")
        assert "byte-identical" in done.stdout


def test_a_second_clone_gives_byte_identical_artifacts(clone, tmp_path):
    twin = reduced_copy(tmp_path)
    ran = stages_run(run_in(twin, "dvc", "repro", "evaluate@toyworld-ours"))
    locks = (yaml.safe_load((folder / "dvc.lock").read_text())["stages"] for folder in (clone, twin))
    theirs, ours = ({out["path"]: out["md5"] for name in ran for out in lock[name]["outs"]} for lock in locks)
    assert len(ours) > 20
    assert ours == theirs


def test_changing_a_weight_runs_evaluate_and_report_only(clone):
    set_params(clone, "toyworld", evaluate={"weights": {"detector": 1.0}})
    names = {name.split("@")[0] for name in stages_run(run_in(clone, "dvc", "repro"))}
    assert names == {"evaluate", "report"}
