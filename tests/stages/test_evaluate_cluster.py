"""`evaluate` and `score` on a cluster: whose files workers open, and one of them killed in the middle of its work."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.config.run import Run
from pipeline.evaluation import engine, row
from pipeline.evaluation.fusion import FusedDump
from pipeline.store.dump import read_dump, write_dump
from pipeline.store.files import sha256_of
from stages.evaluate import command
from stages.score import command as score_command
from tests.report.worlds import write_world

NUM_IMAGES, FATAL_IMAGE = 6, 3


@pytest.mark.parametrize("stage", [command, score_command])
def test_workers_are_sent_paths_and_digests_that_mean_the_same_to_them(stage, layout, monkeypatch):
    seeded = Run("ours", seed=0)
    found = read_dump(layout.predictions(Run("ours")))
    write_dump(layout.predictions(seeded), **vars(dataclasses.replace(found, variant=seeded.name)))
    dump = layout.predictions(seeded if stage is score_command else Run("ours"))
    sent = []

    @contextmanager
    def connect(address):
        yield "sync"  # in place of a client: Dask's scheduler of that name, in this process

    def evaluate_rankings(source, *arguments, **options):
        sent.append(source)
        return engine.evaluate_rankings(source, *arguments, **options)

    monkeypatch.setattr(f"{stage.callback.__module__}.connect", connect)
    monkeypatch.setattr(row, "evaluate_rankings", evaluate_rankings)
    monkeypatch.chdir(layout.root)
    seed = ["--seed", "0"] if stage is score_command else []
    options = ["--dataset", "toyworld", "--variant", "ours", *seed, "--root", "."]
    done = CliRunner().invoke(stage, [*options, "--scheduler", "tcp://cluster:1"])
    assert done.exit_code == 0, done.output
    assert {source.path for source in sent} == {dump} and dump.is_absolute()
    assert all(source.digests == {dump: sha256_of(dump)} for source in sent)


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
    outputs = [layout.metrics(Run("ours")), layout.per_class(Run("ours")), layout.precision_recall(Run("ours"))]
    outputs += [layout.headline(Run("ours")), layout.stage_manifest("evaluate", Run("ours"))]
    outputs += sorted(layout.weight_sweeps(Run("ours")).iterdir())
    expected = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 1)
    monkeypatch.setattr(row, "FusedDump", DeadlyDump)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        pids = {worker.pid for worker in cluster.workers.values()}
        done = CliRunner().invoke(command, [*arguments, "--scheduler", cluster.scheduler_address])
        assert done.exit_code == 0, done.output
        assert len(pids) == 2 and {worker.pid for worker in cluster.workers.values()} != pids
    killed = int((layout.predictions(Run("ours")).parent / "killed").read_text())
    assert killed in pids and killed != os.getpid()
    assert [path.read_bytes() for path in outputs] == expected


@pytest.mark.slow
def test_workers_that_were_started_in_another_clone_read_the_callers_predictions(
    layout, tmp_path, monkeypatch, cluster
):
    from distributed import Client

    expected = layout.metrics(Run("ours")).read_bytes()
    theirs = tmp_path / "theirs"
    shutil.copytree(layout.root, theirs)
    dump = read_dump(layout.predictions(Run("baseline")))
    write_dump(theirs / layout.predictions(Run("ours")).relative_to(layout.root), **vars(dump))
    layout.metrics(Run("ours")).unlink()
    monkeypatch.chdir(layout.root)
    with Client(cluster.scheduler_address) as client:
        client.run(os.chdir, str(theirs))
        options = ["--dataset", "toyworld", "--variant", "ours", "--root", "."]
        done = CliRunner().invoke(command, [*options, "--scheduler", cluster.scheduler_address])
    assert done.exit_code == 0, done.output
    assert layout.metrics(Run("ours")).read_bytes() == expected
