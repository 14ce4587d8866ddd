"""Stages whose parts a real cluster of three worker processes makes: the bytes of one process, whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from pipeline.store.files import sha256_of
from tests.roots import copied, refused, succeeds
from tests.stages.own_dataset import edit_custom

pytestmark = pytest.mark.slow
OUTPUTS = {
    "detect": "cache/custom/proposals/train.h5",
    "encode-images": "cache/custom/features/ours/train.zarr",
    "infer": "cache/custom/train/predictions/ours-train.zarr",
}
MANIFESTS = {
    stage: f"manifests/custom/runs/{name}.json"
    for stage, name in (
        ("detect", "detect-train"),
        ("encode-images", "encode_images-ours-train"),
        ("infer", "infer-ours-train"),
    )
}


@pytest.fixture(scope="module")
def finished(own_dataset, tmp_path_factory) -> Path:
    """All three in this process, in parts of two images."""
    root = copied(own_dataset, tmp_path_factory.mktemp("finished") / "root")
    small = {"batch_size": 2, "part_size": 2}
    edit_custom(root, lambda section: [section[name].update(small) for name in ("detect", "encode_images", "infer")])
    edit_custom(root, lambda section: section["model"]["clip_resnet"].update(trained="none"))
    (root / "manifests/custom/runs/train-ours.json").unlink()  # of other proposals than those that are detected now
    for stage in OUTPUTS:
        run(root, stage)
    return root


@pytest.fixture
def root(finished, tmp_path) -> Path:
    """The same without the zarr files and without manifests."""
    root = copied(finished, tmp_path / "root")
    for name in ("encode-images", "infer"):
        shutil.rmtree(root / OUTPUTS[name])
    for name in MANIFESTS.values():
        (root / name).unlink()
    return root


def run(root: Path, stage: str, *options: str) -> None:
    succeeds(root, stage, "--dataset", "custom", "--split", "train", *options)


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
