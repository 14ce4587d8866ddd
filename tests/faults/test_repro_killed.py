"""`dvc repro` killed with the stage that it runs: run again, it finishes, with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import numpy as np
import pytest

from tests.clones import copy_repository, environment, run_in, set_params
from tests.faults.test_kill import contents

pytestmark = pytest.mark.slow
TARGET = "detect@toyworld-test"
KILLS = 2


def test_a_killed_repro_goes_on(tmp_path):
    copy_repository(tmp_path)
    images = {"num_images": {"train": 4, "val": 2, "test": 24}}
    set_params(tmp_path, "toyworld", prepare=images, detect={"part_size": 4, "batch_size": 4})
    run_in(tmp_path, "dvc", "repro", "prepare@toyworld")
    start = time.perf_counter()
    run_in(tmp_path, "dvc", "repro", TARGET)
    duration, whole = time.perf_counter() - start, contents(tmp_path)
    random, kills = np.random.default_rng(0), 0
    while kills < KILLS:
        start = time.perf_counter()
        process = subprocess.Popen(
            ["dvc", "repro", "--force", "--single-item", TARGET],
            cwd=tmp_path, env=environment(tmp_path, warm=False), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(float(random.uniform(0.3, 0.85) * duration))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            duration = time.perf_counter() - start  # the first run may have been slower: it compiles what it imports
    done = run_in(tmp_path, "dvc", "repro", TARGET)
    assert contents(tmp_path) == whole, done.stdout
    assert "up to date" in run_in(tmp_path, "dvc", "status", TARGET).stdout
