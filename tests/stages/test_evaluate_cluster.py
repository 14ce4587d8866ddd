"""`evaluate` on a real cluster of worker processes, one of which is killed in the middle of its work."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.evaluation import row, two_pass
from pipeline.evaluation.fused_dump import FusedDump
from stages.evaluate import command
from tests.report.worlds import write_world

NUM_IMAGES, FATAL_IMAGE = 6, 3


@dataclass(frozen=True)
class DeadlyDump(FusedDump):
    """A dump whose first reader of one image dies there."""

    @property
    def killed(self) -> Path:
        return self.path.with_name("killed")

    def read(self, start, stop):
        found = super().read(start, stop)
        if start == FATAL_IMAGE and not self.killed.exists():
            self.killed.write_text(f"{os.getpid()}")
            os.kill(os.getpid(), signal.SIGKILL)
        return found


@pytest.mark.slow
def test_a_killed_worker_changes_no_byte(tmp_path, monkeypatch):
    from distributed import LocalCluster

    layout = write_world(tmp_path, NUM_IMAGES)
    arguments = ["--dataset", "toyworld", "--variant", "ours", "--root", str(tmp_path)]
    outputs = [layout.metrics("ours"), layout.per_class("ours"), layout.precision_recall("ours")]
    outputs += [layout.stage_manifest("evaluate", "ours"), *sorted(layout.weight_sweeps("ours").iterdir())]
    expected = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    monkeypatch.setattr(two_pass, "_IMAGES_AT_ONCE", 1)
    monkeypatch.setattr(row, "FusedDump", DeadlyDump)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        pids = {worker.pid for worker in cluster.workers.values()}
        done = CliRunner().invoke(command, [*arguments, "--scheduler", cluster.scheduler_address])
        assert done.exit_code == 0, done.output
        assert len(pids) == 2 and {worker.pid for worker in cluster.workers.values()} != pids
    killed = int((layout.predictions("ours").parent / "killed").read_text())
    assert killed in pids and killed != os.getpid()
    assert [path.read_bytes() for path in outputs] == expected
