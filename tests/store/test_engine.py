"""The engine on a real cluster of two worker processes, without a stage."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.engine import run_parts

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Rows:
    """Work on nothing but numbers, whose digest may depend on the process; each part notes who made it."""

    folder: Path
    part_size: int
    shared_digest: bool

    num_images = 6

    @property
    def digest(self) -> str:
        return "a" * 64 if self.shared_digest else f"{os.getpid():064d}"

    @property
    def empty(self):
        return {"pid": np.zeros(0, np.int64)}

    def open(self):
        return self

    def batches(self, start, stop):
        return [range(start, stop)]

    def load(self, images):
        return None

    def run(self, images, loaded):
        if 5 in images and (self.folder / "broken").exists():
            raise ZeroDivisionError("a bug")
        if (self.folder / "poisonous").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return [{"pid": np.array([os.getpid()])} for _ in images]


def pids(job: Rows, cluster) -> list[int]:
    """Process of each row, once the bar that was opened for all six has been moved to its end."""
    opened, moved = [], []

    @contextmanager
    def progress(total):
        opened.append(total)
        yield moved.append

    _, parts = run_parts(job, progress=progress, tell=print, scheduler=cluster.scheduler_address, threads=1)
    assert opened == [sum(moved)] == [6]
    return parts.column("pid").read().tolist()


def test_parts_are_made_by_workers_and_finished_ones_are_kept(tmp_path, cluster):
    job = Rows(tmp_path, 2, shared_digest=True)
    (tmp_path / "broken").touch()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        pids(job, cluster)
    made = {path.name: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    (tmp_path / "broken").unlink()
    found = pids(job, cluster)
    assert os.getpid() not in found
    assert len(found) == 6
    assert made.items() <= {path.name: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}.items()
    assert pids(job, cluster) == found


def test_a_part_that_kills_its_workers_is_given_up(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    (tmp_path / "poisonous").touch()
    with pytest.raises(ArtifactError, match=r"every worker that was given part Rows-[0-9a-f]+-[024]-[246] died"):
        pids(Rows(tmp_path, 2, shared_digest=True), cluster)


def test_workers_that_see_other_files_are_refused(tmp_path, cluster):
    with pytest.raises(ArtifactError, match="a worker's files or code are not the caller's"):
        pids(Rows(tmp_path, 2, shared_digest=False), cluster)
    assert not list(tmp_path.rglob("*.safetensors"))
