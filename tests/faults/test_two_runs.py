"""Two runs at once on one cache: of the same run the second is refused, others go on side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.forked import Forked, run_forked
from tests.faults.stages import TRAIN, arguments

pytestmark = pytest.mark.slow


def started(root: Path, output: Path) -> Forked:
    """A training run that holds its lock, paused: on a busy machine it could be done before another has started."""
    process = Forked(arguments(root, *TRAIN), output)
    lock = root / "cache/locks/toyworld-train-ours.lock"
    while process.wait(0.01) is None:
        if lock.exists() and str(process.pid) in lock.read_text():
            process.pause()
            return process
    raise AssertionError(output.read_text())


def test_the_same_run_is_refused_and_another_is_not(root, tmp_path):
    before = (root / "manifests/toyworld/runs/train-ours.json").read_bytes()
    first = started(root, tmp_path / "first")
    code, output = run_forked(arguments(root, *TRAIN), tmp_path / "second")
    assert code == 2
    assert output.startswith("Error: train toyworld ours: ") and output.count("\n") == 1
    assert f"process {first.pid} is doing this already" in output
    code, output = run_forked(arguments(root, "detect", "--split", "val"), tmp_path / "other")
    assert code == 0, output
    first.go_on()
    assert first.wait() == 0, first.output.read_text()
    assert (root / "manifests/toyworld/runs/train-ours.json").read_bytes() == before
    assert run_forked(arguments(root, *TRAIN), tmp_path / "third")[0] == 0


def test_a_killed_run_keeps_nobody_out(root, tmp_path):
    started(root, tmp_path / "first").kill()
    assert run_forked(arguments(root, *TRAIN), tmp_path / "second")[0] == 0
    assert not list((root / "cache/locks").iterdir())


def test_other_ranks_of_one_run_share_its_lock(root, tmp_path, monkeypatch):
    first = started(root, tmp_path / "first")
    code, output = run_forked(arguments(root, "train", "--variant", "nobody"), tmp_path / "rank", _as_rank_1)
    assert code == 2 and "is doing this already" not in output
    first.kill()


def _as_rank_1() -> None:
    import os

    os.environ["RANK"] = "1"
