"""`weakhoi verify` lists everything that is wrong, whatever is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.store.files import sha256_of
from pipeline.store.manifests import write_stage_manifest
from stages.cli import main

NAMES = ("a", "b", "c", "d\x1b[2J")


@pytest.fixture
def root(tmp_path) -> Path:
    """Four stages, each with an output and a manifest."""
    for name in NAMES:
        (tmp_path / name).write_text(name)
        write_stage_manifest(
            tmp_path / f"manifests/toyworld/runs/{name}.json", root=tmp_path, stage=f"make-{name[0]}",
            arguments={"dataset": "toyworld"}, inputs=[], params={}, outputs=[tmp_path / name], counts={}, seed=0,
        )  # fmt: skip
    return tmp_path


def verify(root: Path) -> Result:
    return CliRunner().invoke(main, ["verify", "--root", str(root)])


def test_all_is_as_recorded(root):
    assert verify(root).output == "4 manifests: every input and output is as recorded\n"


def test_what_cannot_be_read_is_listed_and_the_rest_goes_on(root, monkeypatch):
    """Root may read everything, so the system's answer is given here."""

    def closed(path):
        if path == root / "a":
            raise PermissionError(13, "Permission denied", str(path))
        return sha256_of(path)

    monkeypatch.setattr("pipeline.store.manifests.sha256_of", closed)
    (root / "b").unlink()
    (root / "manifests/toyworld/runs/c.json").write_text("{")
    (root / NAMES[3]).write_text("changed")
    done = verify(root)
    assert done.exit_code == 2
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{root}/manifests/toyworld/runs/c.json: not JSON")
    assert lines[1] == f"a: output of make-a cannot be read ({root}/a: Permission denied)"
    assert lines[2] == "b: output of make-b is missing"
    assert lines[3].startswith("d\\x1b[2J: output of make-d has sha256 ")
    assert done.stderr.startswith("Error: 4 differences in 4 manifests;")


def test_a_closed_folder_of_manifests_is_not_an_empty_one(root, monkeypatch):
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("/runs/seeds"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    (root / "manifests/toyworld/runs/seeds").mkdir()
    monkeypatch.setattr("os.scandir", closed)
    done = verify(root)
    assert (done.exit_code, done.stdout) == (2, "")
    expected = f"{root}/manifests/toyworld/runs/seeds: cannot be opened (Permission denied); check the path"
    assert done.stderr.startswith(f"Error: {expected}")
