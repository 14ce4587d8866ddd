"""Disk or memory that runs out: one clear line, exit code 2, and nothing half-written under a final name."""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.forked import run_forked
from tests.faults.stages import STAGES, TRAIN, arguments
from tests.faults.test_kill import FILES, MANIFESTS, contents, outputs, under_final_names
from tests.roots import edit_params

pytestmark = pytest.mark.slow
NO_MOUNT = 77  # exit code of a process that may not mount


def fails(root: Path, output: Path, call: tuple[str, ...], prepare: Callable[[], None]) -> str:
    """Run a stage that must fail; return its one line."""
    code, text = run_forked(arguments(root, *call), output, prepare)
    if code == NO_MOUNT:
        pytest.skip("this user may not mount file systems")
    *results, line = text.strip().splitlines()
    assert code == 2 and line.startswith("Error: "), text
    assert not any(result.startswith(("Error", "Traceback")) for result in results), text
    return line


def without_outputs(root: Path, name: str) -> dict[str, str]:
    """Remove what a stage makes; return the contents from before."""
    whole = contents(root)
    for path in outputs(root, name):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return whole


# Disk


def limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing more is an error, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(
    ("name", "size"), [*((name, 1_000) for name in MANIFESTS), *((name, 30_000) for name in (*MANIFESTS, *FILES))]
)
def test_no_room_for_a_file(root, tmp_path, name, size):
    """A stage may get by with small files; then it must have written all of them."""
    whole = without_outputs(root, name)
    call, limit = arguments(root, *STAGES[name]), functools.partial(limit_files, size)
    code, output = run_forked(call, tmp_path / "output", limit)
    if code == 0:
        assert size > 1_000
        assert contents(root) == whole
        return
    *said, line = output.strip().splitlines()  # how large features will be is said first
    assert code == 2 and len(said) == (name == "encode_images"), output
    assert line.startswith(f"Error: {root}/")
    assert "cannot be written (File too large); free space or permissions" in line
    assert under_final_names(root).items() <= whole.items()  # whole, or not there
    code, output = run_forked(call, tmp_path / "output")
    assert (code, contents(root)) == (0, whole), output


def mount(target: Path, options: str | None) -> None:
    """In this process alone: an empty file system in memory, or (None) the folder itself, read-only."""
    private, bind, remount_read_only = 0x44000, 0x1000, 0x1021
    libc = ctypes.CDLL(None)
    place = os.fsencode(target)
    done = libc.unshare(0x20000) or libc.mount(b"none", b"/", None, private, None)
    if options is None:
        done = done or libc.mount(place, place, None, bind, None)
        done = done or libc.mount(None, place, None, remount_read_only, None)
    else:
        done = done or libc.mount(b"tmpfs", place, b"tmpfs", 0, options.encode())
    if done:
        os._exit(NO_MOUNT)


@pytest.mark.parametrize(
    ("name", "folder", "size"),
    [
        ("prepare", "cache", "400k"),
        ("detect", "cache/toyworld/work", "8k"),
        ("detect", "cache/toyworld/proposals", "8k"),
        ("encode_prompts", "cache", "8k"),
        ("encode_images", "cache/toyworld/work", "8k"),
        ("train", "cache/toyworld/work", "64k"),
        ("train", "cache/toyworld/checkpoints", "64k"),
        ("infer", "cache/toyworld/predictions", "16k"),
        ("represent", "cache/toyworld/seeds/representations", "16k"),
        ("evaluate", "results", "8k"),
    ],
)
def test_full_disk(root, tmp_path, name, folder, size):
    (root / folder).mkdir(exist_ok=True)
    whole = contents(root)
    line = fails(root, tmp_path / "output", STAGES[name], functools.partial(mount, root / folder, f"size={size}"))
    assert line.startswith(f"Error: {root / folder}/")
    assert "cannot be written (No space left on device); free space or permissions" in line
    code, output = run_forked(arguments(root, *STAGES[name]), tmp_path / "output")
    assert (code, contents(root)) == (0, whole), output


@pytest.mark.parametrize("name", [*MANIFESTS, *FILES])
def test_read_only_disk(root, tmp_path, name):
    whole = contents(root)
    line = fails(root, tmp_path / "output", STAGES[name], functools.partial(mount, root, None))
    assert line.startswith(f"Error: {root}/")
    assert "cannot be written (Read-only file system); free space or permissions" in line
    assert contents(root) == whole


# Memory


def use_workers(root: Path) -> None:
    edit_params(root, lambda document: document["toyworld"]["train"].update(num_workers=1))


@pytest.mark.parametrize("size", ["4k", "400k"])
def test_full_shared_memory(root, tmp_path, size):
    """No room for the loader's locks, and none for a batch; the latter left torch waiting for ever."""
    use_workers(root)
    mounted = functools.partial(mount, Path("/dev/shm"), f"size={size}")
    line = fails(root, tmp_path / "output", TRAIN, functools.partial(_fill_and, mounted, size == "4k"))
    assert "/dev/shm: " in line
    assert "No space left on device" in line
    assert line.endswith("enlarge it, or set train.num_workers to 0")


def _fill_and(mounted: Callable[[], None], fill: bool) -> None:
    mounted()
    if fill:
        Path("/dev/shm/full").write_bytes(bytes(4096))


def _break_workers(how: str) -> None:
    import torch
    from torch.utils.data import get_worker_info

    from pipeline.data.bags import BagDataset

    read = BagDataset.__getitem__

    def broken(self, index):
        if how == "killed" and get_worker_info():
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
        if how == "no memory":
            torch.empty(1 << 50, dtype=torch.uint8)
        return read(self, index)

    BagDataset.__getitem__ = broken


@pytest.mark.parametrize(
    ("how", "workers", "part"),
    [
        ("killed", True, "DataLoader worker (pid"),
        ("no memory", True, "memory ran out ("),
        ("no memory", False, "memory ran out ("),
    ],
)
def test_memory_that_runs_out(root, tmp_path, how, workers, part):
    if workers:
        use_workers(root)
    line = fails(root, tmp_path / "output", TRAIN, functools.partial(_break_workers, how))
    assert part in line
    assert "lower" in line and "num_workers" in line
