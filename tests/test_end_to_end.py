"""A scratch clone through `dvc repro` on a reduced toyworld: what a newcomer does, small."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def run_in(folder: Path, *call: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"} | {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")
    }
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{call}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done


def copy_repository(folder: Path) -> None:
    """Copy the files that git tracks, as they are in the working tree."""
    names = run_in(ROOT, "git", "ls-files", "-z").stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run_in(folder, "git", "init", "-q")


def _clone(folder: Path) -> Path:
    """Copy the repository and cut the toyworld down."""
    copy_repository(folder)
    set_params(folder, "toyworld", "prepare", {"num_images": {"train": 48, "val": 16, "test": 32}})
    set_params(folder, "toyworld", "train", {"epochs": 1})
    set_params(folder, "toyworld", "report", {"num_images": 4})
    return folder


def set_params(folder: Path, dataset: str, stage: str, values: dict) -> None:
    path = folder / "params.yaml"
    document = yaml.safe_load(path.read_text())
    document[dataset][stage] |= values
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def _stages_run(done: subprocess.CompletedProcess[str]) -> set[str]:
    marker = "Running stage '"
    return {line.split(marker)[1].split("'")[0] for line in done.stdout.splitlines() if marker in line}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    folder = _clone(tmp_path_factory.mktemp("clone"))
    run_in(folder, "dvc", "repro")
    return folder


def test_repro_leaves_metrics_report_and_manifests_that_verify(clone):
    for variant in ("ours", "baseline"):
        metrics = json.loads((clone / f"results/toyworld/{variant}.json").read_text())
        assert 0 <= metrics["full"] <= 100
        assert metrics["counts"]["images"] == 32
        assert metrics["max_recall"] > 30  # proposals and pairing find most pairs, whatever the scores
    assert "<img" in (clone / "results/toyworld/report/index.html").read_text()
    assert "as recorded" in run_in(clone, "weakhoi", "verify", "--images").stdout
    assert "ours" in run_in(clone, "weakhoi", "summary", "--dataset", "toyworld").stdout


def test_nothing_changed_runs_nothing(clone):
    assert _stages_run(run_in(clone, "dvc", "repro")) == set()


def test_training_manifest_holds_no_box(clone):
    manifest = json.loads((clone / "manifests/toyworld/train.json").read_text())
    assert {key for image in manifest["images"] for key in image} == {
        "image_id", "path", "width", "height", "sha256", "hoi_ids",
    }  # fmt: skip
    assert not (clone / "cache/toyworld/ground_truth/train.json").exists()


def test_rerun_from_the_manifest_alone_gives_the_same_bytes(clone):
    for name in ("encode_prompts", "detect-test", "train-ours", "infer-ours-test", "evaluate-ours"):
        done = run_in(clone, "weakhoi", "rerun", f"manifests/toyworld/runs/{name}.json")
        assert "byte-identical" in done.stdout


def test_a_second_clone_gives_byte_identical_artifacts(clone, tmp_path):
    twin = _clone(tmp_path)
    run_in(twin, "dvc", "repro")
    first, second = (yaml.safe_load((folder / "dvc.lock").read_text()) for folder in (clone, twin))
    outs = [
        {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", ())}
        for lock in (first, second)
    ]
    assert len(outs[0]) > 20
    assert outs[0] == outs[1]


def test_changing_a_weight_runs_evaluate_and_report_only(clone):
    set_params(clone, "toyworld", "evaluate", {"weights": {"detector": 1.0}})
    names = {name.split("@")[0] for name in _stages_run(run_in(clone, "dvc", "repro"))}
    assert names == {"evaluate", "report"}


def test_damaged_artifacts_are_named(clone):
    path = clone / "cache/toyworld/proposals/test.h5"
    original = path.read_bytes()
    path.chmod(0o644)
    try:
        path.write_bytes(original[: len(original) // 2])
        done = run_in(clone, "weakhoi", "verify", check=False)
        assert done.returncode == 2
        assert "cache/toyworld/proposals/test.h5" in done.stdout
    finally:
        path.write_bytes(original)
