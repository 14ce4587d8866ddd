"""Stages on a real cluster of two worker processes: the bytes of one process, whatever happens, and whose files."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from distributed import Client

from pipeline.config.run import Run
from pipeline.evaluation import engine, row
from pipeline.evaluation.fusion import FusedDump
from pipeline.store.dump import read_dump, write_dump
from pipeline.store.files import sha256_of
from tests.report.worlds import write_world
from tests.roots import copied, refused, succeeds
from tests.stages.own_dataset import edit_custom

pytestmark = pytest.mark.slow
OUTPUTS = {
    "detect": "cache/custom/proposals/train.h5",
    "encode-images": "cache/custom/features/ours/train.zarr",
    "infer": "cache/custom/train/predictions/ours-train.zarr",
    "label": "cache/custom/image_labels/clip.h5",
}
MANIFESTS = {
    stage: f"manifests/custom/runs/{name}.json"
    for stage, name in (
        ("detect", "detect-train"),
        ("encode-images", "encode_images-ours-train"),
        ("infer", "infer-ours-train"),
        ("label", "label"),
    )
}


@pytest.fixture(scope="module")
def finished(own_dataset, tmp_path_factory) -> Path:
    """All of them in this process, in parts of two images."""
    root = copied(own_dataset, tmp_path_factory.mktemp("finished") / "root")
    parts = ("detect", "encode_images", "infer", "label")
    small = {"batch_size": 2, "part_size": 2}
    edit_custom(root, lambda section: [section[name].update(small) for name in parts])
    edit_custom(root, lambda section: section["model"]["clip_resnet"].update(trained="none"))
    (root / "manifests/custom/runs/train-ours.json").unlink()  # of other proposals than those that are detected now
    for stage in OUTPUTS:
        run(root, stage)
    return root


@pytest.fixture
def root(finished, tmp_path) -> Path:
    """The same without what is made of proposals, and without manifests."""
    root = copied(finished, tmp_path / "root")
    for name in ("encode-images", "infer"):
        shutil.rmtree(root / OUTPUTS[name])
    (root / OUTPUTS["label"]).unlink()
    for name in MANIFESTS.values():
        (root / name).unlink()
    return root


def run(root: Path, stage: str, *options: str) -> None:
    succeeds(root, stage, "--dataset", "custom", *(() if stage == "label" else ("--split", "train")), *options)


def kill_at_the_next_image() -> None:
    """On a worker: the process dies when it decodes an image."""
    import pipeline.data.images

    def die(*arguments, **options):
        os.kill(os.getpid(), signal.SIGKILL)

    pipeline.data.images._to_rgb = die


@pytest.mark.parametrize("stage", OUTPUTS)
def test_bytes_are_those_of_one_process(stage, root, finished, cluster):
    """Of `detect` also where a worker is killed; the others go through the same engine (tests/store/test_engine.py)."""
    if stage == "detect":
        (root / OUTPUTS[stage]).unlink()
    with Client(cluster.scheduler_address) as client:
        client.wait_for_workers(2, timeout=60)
        doomed, pid = next(iter(client.run(os.getpid).items()))
        if stage == "detect":
            client.run(kill_at_the_next_image, workers=[doomed])
        run(root, stage, "--scheduler", cluster.scheduler_address)
        client.wait_for_workers(2, timeout=60)
        assert (pid in client.run(os.getpid).values()) == (stage != "detect")
    assert sha256_of(root / OUTPUTS[stage]) == sha256_of(finished / OUTPUTS[stage])
    assert (root / MANIFESTS[stage]).read_bytes() == (finished / MANIFESTS[stage]).read_bytes()
    assert not list(root.rglob("*.tmp"))


@pytest.mark.parametrize("stage", ["detect", "encode-images", "infer", "represent"])
def test_the_address_is_that_of_params_unless_another_is_given(stage, root):
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("scheduler: null", "scheduler: of-params"))
    for options, address in (((), "of-params"), (("--scheduler", "given"), "given")):
        line = refused(root, stage, "--dataset", "custom", "--split", "train", *options)
        assert line.startswith(f'Error: scheduler: no Dask scheduler at "{address}" (missing port number')


def test_a_missing_image_is_one_line_from_a_worker_too(root, cluster):
    (root / OUTPUTS["detect"]).unlink()
    (root / "data/custom/train/photo 9.png").unlink()
    call = ("detect", "--dataset", "custom", "--split", "train", "--scheduler", cluster.scheduler_address)
    assert "photo 9.png: image does not exist" in refused(root, *call)
    assert not (root / OUTPUTS["detect"]).exists()
    assert not list(root.rglob("*.tmp"))


# evaluate and score

OURS = ("--dataset", "toyworld", "--variant", "ours")
NUM_IMAGES, FATAL_IMAGE = 6, 3


@pytest.mark.parametrize(("stage", "seed"), [("evaluate", ()), ("score", ("--seed", "0"))])
def test_workers_are_sent_paths_and_digests_that_mean_the_same_to_them(stage, seed, layout, monkeypatch):
    seeded = Run("ours", seed=0)
    found = read_dump(layout.predictions(Run("ours")))
    write_dump(layout.predictions(seeded), **vars(dataclasses.replace(found, variant=seeded.name)))
    dump = layout.predictions(seeded if seed else Run("ours"))
    sent = []

    @contextmanager
    def connect(address):
        yield "sync"  # in place of a client: Dask's scheduler of that name, in this process

    def evaluate_rankings(source, *arguments, **options):
        sent.append(source)
        return engine.evaluate_rankings(source, *arguments, **options)

    monkeypatch.setattr(f"stages.{stage}.connect", connect)
    monkeypatch.setattr(row, "evaluate_rankings", evaluate_rankings)
    monkeypatch.chdir(layout.root)
    succeeds(Path(), stage, *OURS, *seed, "--scheduler", "tcp://cluster:1")
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


def test_a_killed_worker_changes_no_byte(tmp_path, monkeypatch, cluster):
    layout = write_world(tmp_path, NUM_IMAGES)
    outputs = [layout.metrics(Run("ours")), layout.per_class(Run("ours")), layout.precision_recall(Run("ours"))]
    outputs += [layout.headline(Run("ours")), layout.stage_manifest("evaluate", Run("ours"))]
    outputs += sorted(layout.weight_sweeps(Run("ours")).iterdir())
    expected = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 1)
    monkeypatch.setattr(row, "FusedDump", DeadlyDump)
    with Client(cluster.scheduler_address) as client:
        client.wait_for_workers(2, timeout=60)
        pids = {*client.run(os.getpid).values()}
    succeeds(tmp_path, "evaluate", *OURS, "--scheduler", cluster.scheduler_address)
    killed = int((layout.predictions(Run("ours")).parent / "killed").read_text())
    assert killed in pids
    assert [path.read_bytes() for path in outputs] == expected


def test_workers_that_are_in_another_clone_read_the_callers_predictions(layout, tmp_path, monkeypatch, cluster):
    expected = layout.metrics(Run("ours")).read_bytes()
    theirs = tmp_path / "theirs"
    shutil.copytree(layout.root, theirs)
    dump = read_dump(layout.predictions(Run("baseline")))
    write_dump(theirs / layout.predictions(Run("ours")).relative_to(layout.root), **vars(dump))
    layout.metrics(Run("ours")).unlink()
    monkeypatch.chdir(layout.root)
    with Client(cluster.scheduler_address) as client:
        client.run(os.chdir, str(theirs))
        succeeds(Path(), "evaluate", *OURS, "--scheduler", cluster.scheduler_address)
        client.run(os.chdir, "/")
    assert layout.metrics(Run("ours")).read_bytes() == expected
