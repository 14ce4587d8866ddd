"""Parts on a real cluster of three worker processes: the bytes of one process, whatever happens to the workers."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.files import sha256_of
from stages._engine import run_parts
from tests.stages.own_dataset import copied, weakhoi, write_params

pytestmark = pytest.mark.slow
OUTPUTS = {"detect": "cache/custom/proposals/train.h5", "infer": "cache/custom/train/predictions/ours-train.zarr"}
MANIFESTS = {
    stage: f"manifests/custom/runs/{stage}-{name}.json"
    for stage, name in (("detect", "train"), ("infer", "ours-train"))
}


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def finished(own_dataset, tmp_path_factory) -> Path:
    """Both stages in this process, in parts of two images."""
    root = copied(own_dataset, tmp_path_factory.mktemp("finished") / "root")
    small = {"batch_size": 2, "part_size": 2}
    write_params(root, lambda section: (section["detect"].update(small), section["infer"].update(small)))
    for stage in OUTPUTS:
        run(root, stage)
    return root


@pytest.fixture
def root(finished, tmp_path) -> Path:
    """The same without the dump and without manifests."""
    root = copied(finished, tmp_path / "root")
    shutil.rmtree(root / OUTPUTS["infer"])
    for name in MANIFESTS.values():
        (root / name).unlink()
    return root


def run(root: Path, stage: str, *options: str) -> None:
    done = weakhoi(root, stage, "--dataset", "custom", "--split", "train", *options)
    assert done.exit_code == 0, done.output


def kill_at_the_next_image() -> None:
    """On a worker: the process dies when it decodes an image."""
    import pipeline.data.images

    def die(*arguments, **options):
        os.kill(os.getpid(), signal.SIGKILL)

    pipeline.data.images._to_rgb = die


@pytest.mark.parametrize("stage", OUTPUTS)
def test_bytes_are_those_of_one_process_though_a_worker_is_killed(stage, root, finished, cluster):
    from distributed import Client

    if stage == "detect":
        (root / OUTPUTS[stage]).unlink()
    with Client(cluster.scheduler_address) as client:
        client.wait_for_workers(3, timeout=60)
        doomed, pid = next(iter(client.run(os.getpid).items()))
        client.run(kill_at_the_next_image, workers=[doomed])
        run(root, stage, "--scheduler", cluster.scheduler_address)
        client.wait_for_workers(3, timeout=60)
        assert pid not in client.run(os.getpid).values()
    assert sha256_of(root / OUTPUTS[stage]) == sha256_of(finished / OUTPUTS[stage])
    assert (root / MANIFESTS[stage]).read_bytes() == (finished / MANIFESTS[stage]).read_bytes()
    assert not list(root.rglob("*.tmp"))


@pytest.mark.parametrize("stage", ["detect", "infer", "represent"])
def test_the_address_is_that_of_params_unless_another_is_given(stage, root):
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("scheduler: null", "scheduler: of-params"))
    for options, address in (((), "of-params"), (("--scheduler", "given"), "given")):
        done = weakhoi(root, stage, "--dataset", "custom", "--split", "train", *options)
        assert done.exit_code == 2
        assert done.output.startswith(f'Error: scheduler: no Dask scheduler at "{address}" (missing port number')
        assert done.output.count("\n") == 1


def test_a_missing_image_is_one_line_from_a_worker_too(root, cluster):
    (root / OUTPUTS["detect"]).unlink()
    (root / "data/custom/train/photo 9.png").unlink()
    done = weakhoi(root, "detect", "--dataset", "custom", "--split", "train", "--scheduler", cluster.scheduler_address)
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert "photo 9.png: image does not exist" in done.output
    assert not (root / OUTPUTS["detect"]).exists()
    assert not list(root.rglob("*.tmp"))


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


def pids(recipe: Rows, cluster) -> list[int]:
    _, parts = run_parts(recipe, label="rows", scheduler=cluster.scheduler_address, threads=1)
    return parts.column("pid").read().tolist()


def test_parts_are_made_by_workers_and_finished_ones_are_kept(tmp_path, cluster):
    recipe = Rows(tmp_path, 2, shared_digest=True)
    (tmp_path / "broken").touch()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        pids(recipe, cluster)
    made = {path.name: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    (tmp_path / "broken").unlink()
    found = pids(recipe, cluster)
    assert os.getpid() not in found
    assert len(found) == 6
    assert made.items() <= {path.name: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}.items()
    assert pids(recipe, cluster) == found


def test_a_part_that_kills_its_workers_is_given_up(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    (tmp_path / "poisonous").touch()
    with pytest.raises(ArtifactError, match=r"every worker that was given part Rows-a+-[024]-[246] died"):
        pids(Rows(tmp_path, 2, shared_digest=True), cluster)


def test_workers_that_see_other_files_are_refused(tmp_path, cluster):
    with pytest.raises(ArtifactError, match="a worker's files are not the caller's"):
        pids(Rows(tmp_path, 2, shared_digest=False), cluster)
    assert not list(tmp_path.rglob("*.safetensors"))
