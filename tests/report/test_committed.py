"""Results on disk beside the committed ones, in a git repository of three files."""

import json
import subprocess

import pytest

from pipeline.report.committed import differences_line


@pytest.fixture
def root(tmp_path):
    for name, value in (("headline/ours.json", {"full": 69.5, "rare": None}), ("curves/ours.csv", 1)):
        path = tmp_path / "results/toyworld" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value))
    (tmp_path / "params.yaml").write_text("a: 1")
    own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for call in (["init", "-q"], ["add", "."], [*own, "commit", "-qm", "results"]):
        subprocess.run(["git", "-C", tmp_path, *call], check=True, capture_output=True)
    return tmp_path


def line(root):
    return differences_line(root, root / "results/toyworld/headline")


def test_other_digits_are_told_with_the_largest_difference(root):
    assert line(root) is None
    (root / "results/toyworld/headline/ours.json").write_text('{"full": 69.69, "rare": 12.0, "new": 1.0}')
    (root / "results/toyworld/curves/ours.csv").write_text("2")
    (root / "results/toyworld/headline/untracked.json").write_text('{"full": 1.0}')
    told = (
        "2 committed files of results/ and manifests/ differ from the commit, the main numbers by at most 0.19 points"
    )
    assert line(root) == f"{told}: expected on another CPU than that of the commit"
    (root / "params.yaml").write_text("a: 2")
    assert line(root) == f"{told}: params.yaml or code differ too"


def test_there_need_be_no_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert line(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert line(tmp_path) is None
