"""A stopped stage goes on only with work that the same code and libraries made; what others made is set aside.

The work that a stopped run left is replaced by whole files with other numbers: bytes of an undisturbed run mean that
none of it was used.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import Result

import pipeline.store.engine
import pipeline.store.source_files
import pipeline.training.opened
from pipeline.store.files import sha256_of
from pipeline.store.source_files import code_digest
from pipeline.store.work_folder import load_tensors, save_tensors
from tests.faults.stages import RUN, SEEDED, in_process

pytestmark = pytest.mark.slow
CACHE = "cache/toyworld"
STAGES = {  # call, its output, its folder of work, an image without which it stops in the middle
    "detect": (("detect", "--split", "test"), "proposals/test.h5", "detect-test", "test/000015.png"),
    "infer": (("infer", *RUN), "predictions/ours.zarr", "infer-ours-test", "test/000015.png"),
    "represent": (
        ("represent", *SEEDED), "seeds/representations/ours-0.h5", "represent-seeds-ours-0-test", "test/000015.png",
    ),
    "train": (("train", *RUN), "checkpoints/ours", "train-ours", None),
}  # fmt: skip


@pytest.fixture
def as_in_new_processes():
    """A process digests its code once: nothing is kept before the test, or after."""
    code_digest.cache_clear()
    yield
    code_digest.cache_clear()


def stopped(root: Path, name: str, monkeypatch) -> Path:
    """Run a stage up to its middle; return the folder of what is left."""
    call, output, work, image = STAGES[name]
    folder = root / CACHE / "work" / work
    shutil.rmtree(root / CACHE / output) if (root / CACHE / output).is_dir() else (root / CACHE / output).unlink()
    if image is None:
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.training.loop.optimizer_step", stop_after(4))
            assert in_process(root, *call).exit_code == 1
    else:
        path = root / CACHE / "images" / image
        path.rename(path.with_suffix(".away"))
        assert in_process(root, *call).exit_code == 2
        path.with_suffix(".away").rename(path)
    assert list(folder.rglob("*.safetensors"))
    return folder


def stop_after(steps: int):
    from pipeline.training.step import optimizer_step

    done = []

    def step(*arguments, **options):
        if len(done) == steps:
            raise KeyboardInterrupt
        done.append(None)
        return optimizer_step(*arguments, **options)

    return step


def change_numbers(folder: Path) -> None:
    for path in folder.rglob("*.safetensors"):
        tensors, values = load_tensors(path)
        changed = {name: value * 0.5 if value.is_floating_point() else value for name, value in tensors.items()}
        save_tensors(path, changed, values)


def finished(root: Path, name: str) -> tuple[Result, str]:
    call, output, *_ = STAGES[name]
    done = in_process(root, *call)
    assert done.exit_code == 0, done.output
    assert not list((root / CACHE / "work").iterdir())
    return done, sha256_of(root / CACHE / output)


@pytest.mark.parametrize("name", STAGES)
def test_the_same_code_goes_on(root, name, monkeypatch):
    before = sha256_of(root / CACHE / STAGES[name][1])
    change_numbers(stopped(root, name, monkeypatch))
    done, found = finished(root, name)
    assert found != before
    assert "set aside" not in done.output


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("what", ["code", "libraries"])
def test_other_code_starts_anew_and_says_so(root, name, what, monkeypatch, as_in_new_processes):
    before = sha256_of(root / CACHE / STAGES[name][1])
    folder = stopped(root, name, monkeypatch)
    change_numbers(folder)
    (left,) = folder.iterdir()
    if what == "code":
        for module in (pipeline.store.engine, pipeline.training.opened):
            monkeypatch.setattr(module, "code_digest", lambda *starts: "edited")
    else:
        versions = pipeline.store.source_files.library_versions() | {"torch": "0.0.1"}
        monkeypatch.setattr(pipeline.store.source_files, "library_versions", lambda: versions)
        code_digest.cache_clear()
    done, found = finished(root, name)
    assert found == before
    assert done.output.count("set aside") == 1
    assert f"{left}: " in done.output and "code, libraries, ranks or kind of device than now" in done.output
