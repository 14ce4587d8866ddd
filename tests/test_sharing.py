"""Work shared between clones: by DVC remote, by a shared DVC cache, by one file; an experiment of DVC.

One reduced toyworld is made and pushed; other clones of the same commit take its proposals.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.clones import copy_small_toyworld, run_in, set_params, stages_run
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

TRAIN = "train@toyworld-ours"


def git(folder: Path, *call: str) -> None:
    run_in(folder, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", *call)


@pytest.fixture(scope="module")
def remote(tmp_path_factory) -> Path:
    """Folder of the DVC remote."""
    return tmp_path_factory.mktemp("remote")


@pytest.fixture(scope="module")
def colleague(tmp_path_factory, remote) -> Path:
    """A repository with a commit, whose artifacts up to the proposals and the bank are made and pushed."""
    folder = tmp_path_factory.mktemp("colleague")
    copy_small_toyworld(folder, "ours", num_test=4)
    run_in(folder, "dvc", "remote", "add", "--default", "shared", str(remote))
    run_in(folder, "dvc", "repro", "detect@toyworld-train", "detect@toyworld-test", "encode_prompts@toyworld")
    run_in(folder, "dvc", "push")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "proposals")
    return folder


def clone_of(colleague: Path, folder: Path) -> Path:
    run_in(colleague, "git", "clone", "-q", str(colleague), str(folder))
    assert not (folder / "cache").exists()
    return folder


def test_proposals_pulled_from_a_remote_are_trained_on_without_detecting(colleague, tmp_path):
    clone = clone_of(colleague, tmp_path / "clone")
    run_in(clone, "dvc", "pull", "detect@toyworld-train")
    made = {path.relative_to(clone / "cache").as_posix() for path in (clone / "cache").rglob("*") if path.is_file()}
    assert made == {"toyworld/proposals/train.h5"}
    done = run_in(clone, "dvc", "repro", "--pull", TRAIN)  # images and bank come from the remote as they are needed
    assert stages_run(done) == {TRAIN}
    assert (clone / "cache/toyworld/checkpoints/ours/model.safetensors").is_file()
    record = json.loads((clone / "manifests/toyworld/runs/train-ours.json").read_text())
    theirs = json.loads((colleague / "manifests/toyworld/runs/detect-train.json").read_text())
    assert record["inputs"]["cache/toyworld/proposals/train.h5"] in theirs["outputs"].values()


@pytest.fixture(scope="module")
def first(colleague, tmp_path_factory) -> Path:
    """A clone with a shared cache beside it, configured as docs/sharing.md says; run to the report and committed."""
    folder = tmp_path_factory.mktemp("clones")
    clone = clone_of(colleague, folder / "first")
    run_in(clone, "bash", "-c", shared_cache_commands(folder)[0])
    assert {f"{name}@toyworld-ours" for name in ("train", "infer", "evaluate")} | {"report@toyworld"} == stages_run(
        run_in(clone, "dvc", "repro", "--pull")
    )
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "trained")
    return clone


def shared_cache_commands(folder: Path) -> list[str]:
    """Those of docs/sharing.md: what configures a clone, and what takes another's results."""
    section = (ROOT / "docs/sharing.md").read_text().split("## One cache for several clones")[1].split("\n## ")[0]
    commands = re.findall(r"^```bash\n(.*?)\n```$", section, re.DOTALL | re.MULTILINE)
    return [command.replace("/shared/dvc", str(folder / "shared")) for command in commands]


def test_a_shared_cache_is_linked_and_serves_both_clones(first, tmp_path):
    """What one clone has made and committed, another checks out, and runs nothing."""
    configure, take = shared_cache_commands(first.parent)
    second = clone_of(first, tmp_path / "second")
    run_in(second, "bash", "-c", f"{configure} && {take}")
    assert stages_run(run_in(second, "dvc", "repro")) == set()
    for clone in (first, second):
        for path in ("proposals/train.h5", "predictions/ours.zarr/zarr.json"):
            assert (clone / "cache/toyworld" / path).is_symlink()
            assert (clone / "cache/toyworld" / path).resolve().is_relative_to(first.parent / "shared")
    image = next((second / "cache/toyworld/images/train").iterdir())
    assert image.resolve().is_relative_to(first.parent / "shared")  # out of the image root, to the recorded image
    records = [str(path.relative_to(second)) for path in (second / "manifests/toyworld/runs").glob("*.json")]
    records = [name for name in records if "baseline" not in name]  # the repository's own, not made here
    assert len(records) == 8
    assert "as recorded" in run_in(second, "weakhoi", "verify", "--images", *records).stdout
    for name in ("infer-ours-test", "evaluate-ours", "report"):
        done = run_in(second, "weakhoi", "rerun", f"manifests/toyworld/runs/{name}.json")
        assert "byte-identical" in done.stdout


@pytest.fixture
def handed(colleague, tmp_path) -> Path:
    """A root with the colleague's images, and a proposals file with its manifest in `shared/`."""
    root = tmp_path / "root"
    for name in ("manifests/toyworld", "cache/toyworld/images"):
        shutil.copytree(colleague / name, root / name)
    shutil.copy(colleague / "params.yaml", root)
    set_params(root, "toyworld", detect={"source": "shared/{split}.h5"})
    (root / "shared").mkdir()
    shutil.copy(colleague / "cache/toyworld/proposals/test.h5", root / "shared")
    shutil.copy(colleague / "manifests/toyworld/runs/detect-test.json", root / "shared")
    return root


DETECT = ("weakhoi", "detect", "--dataset", "toyworld", "--split", "test", "--root")


def test_one_file_with_its_manifest_is_taken(colleague, handed):
    run_in(ROOT, *DETECT, str(handed))
    taken, given = handed / "cache/toyworld/proposals/test.h5", handed / "shared/test.h5"
    assert taken.read_bytes() == given.read_bytes()
    record = json.loads((handed / "manifests/toyworld/runs/detect-test.json").read_text())
    assert {"shared/test.h5", "shared/detect-test.json"} <= record["inputs"].keys()
    assert not [name for name in record["inputs"] if "weights" in name]  # no detector ran
    own = str(handed / "manifests/toyworld/runs/detect-test.json")
    assert "byte-identical" in run_in(handed, "weakhoi", "rerun", own, "--root", str(handed)).stdout


def test_an_experiment_in_a_copy_finds_what_it_needs_and_runs_what_changed(colleague, tmp_path):
    """`dvc exp run --queue` works in such copies too: `--temp` is one of them, without the worker."""
    clone = clone_of(colleague, tmp_path / "clone")
    run_in(clone, "dvc", "pull", "detect@toyworld-train", "prepare@toyworld", "encode_prompts@toyworld")
    mine = "+variants.mine={desc: one more, model: {bilevel: {top_k: 3}}, train: {}, evaluate: {}}"
    options = ["--temp", "--name", "three", "-S", "run_variants=[mine]", "-S", mine]
    git(clone, "config", "user.email", "a@example.org")
    git(clone, "config", "user.name", "a")
    done = run_in(clone, "dvc", "exp", "run", *options, "train@toyworld-mine")
    assert stages_run(done) == {"train@toyworld-mine"}
    assert not (clone / "cache/toyworld/checkpoints").exists()
    assert "three" in run_in(clone, "dvc", "exp", "list").stdout
    changed = run_in(clone, "dvc", "params", "diff", "HEAD", "three", "--json").stdout
    assert "mine" in changed
