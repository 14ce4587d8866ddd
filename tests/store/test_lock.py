"""Locks hold between processes only, so each test has a second one."""

import subprocess
import sys

import pytest

from pipeline.core.errors import ResourceError
from pipeline.store.lock import hold_lock
from tests.conftest import ROOT

_HOLD = """
import sys
from pathlib import Path
from pipeline.store.lock import hold_lock
with hold_lock(Path(sys.argv[1]), "train toyworld ours"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    path = tmp_path / "locks" / "train.lock"
    call = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(call, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process, path
        process.kill()


def test_a_second_process_is_refused_and_told_who_is_at_work(holder):
    process, path = holder
    expected = rf"train toyworld ours: .* process {process.pid} is doing this already .*; wait until it has ended"
    with pytest.raises(ResourceError, match=expected), hold_lock(path, "train toyworld ours"):
        pass
    with hold_lock(path.with_name("train-baseline.lock"), "train toyworld baseline"):
        pass
    process.communicate("")
    assert not path.exists()
    with hold_lock(path, "train toyworld ours"):
        assert path.exists()
    assert not path.exists()


def test_a_killed_holder_leaves_no_lock(holder):
    process, path = holder
    process.kill()
    process.wait()
    assert path.exists()
    with hold_lock(path, "train toyworld ours"):
        pass


def test_where_no_file_can_be_there_is_no_lock(tmp_path):
    (tmp_path / "locks").write_text("not a folder")
    with hold_lock(tmp_path / "locks" / "train.lock", "train"):
        pass
