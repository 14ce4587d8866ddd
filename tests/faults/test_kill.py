"""kill -9 at any moment of any stage: the stage run again leaves the bytes of an undisturbed run, and nothing else.

A stage's outputs are removed first, as DVC does. Then it is started and killed, four times in a row at moments from a
fixed seed; then it may finish. What a killed run finished must still be there, untouched, for the next.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.store.work_folder import load_tensors
from tests.conftest import ROOT
from tests.faults.forked import Forked, run_forked
from tests.faults.stages import STAGES, arguments
from tests.roots import succeeds
from tests.small_model import METHODS

pytestmark = pytest.mark.slow
KILLS, IN_A_ROW, ATTEMPTS = 4, 4, 120
# Stage: its manifest; the two without one write these files.
MANIFESTS = {
    "prepare": "prepare",
    "detect": "detect-train",
    "encode_prompts": "encode_prompts",
    "encode_images": "encode_images-ours_frozen-train",
    "train": "train-ours",
    "infer": "infer-ours-test",
    "evaluate": "evaluate-ours",
    "represent": "seeds/represent-ours-0-test",
    "tsne": "tsne",
    "report": "report",
}
FILES = {"score": ["study/ours-0.json"], "summary": ["ablations.md", "ablations.csv"]}
IN_PARTS = ("detect", "encode_images", "infer", "represent")


def contents(root: Path) -> dict[str, str]:
    """Digest of every file that stages made."""
    files = (path for folder in ("cache", "manifests", "results") for path in (root / folder).rglob("*"))
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def under_final_names(root: Path) -> dict[str, str]:
    """Those of them that are no stage's scratch files: no parts, locks, or temporaries."""
    scratch = ("cache/locks/", "cache/toyworld/work/")
    return {
        name: digest
        for name, digest in contents(root).items()
        if not name.startswith(scratch) and not any(part.startswith(".") for part in name.split("/"))
    }


def outputs(root: Path, name: str) -> list[Path]:
    if name in FILES:
        return [root / "results/toyworld" / file for file in FILES[name]]
    manifest = root / f"manifests/toyworld/runs/{MANIFESTS[name]}.json"
    return [*(root / out for out in json.loads(manifest.read_text())["outputs"]), manifest]


class Progress:
    """What killed runs left for the next: finished parts as (inode, time), and the iteration of a resume point."""

    def __init__(self, root: Path) -> None:
        self._work = root / "cache/toyworld/work"
        self.forget()
        self.parts_kept = self.iterations_kept = 0

    def forget(self) -> None:
        self._parts, self._iteration = self._found()

    def check(self) -> None:
        """Nothing that was there is missing, and nothing was made again."""
        parts, iteration = self._found()
        assert parts.items() >= self._parts.items()
        assert iteration >= self._iteration
        self.parts_kept += len(self._parts)
        self.iterations_kept += self._iteration
        self._parts, self._iteration = parts, iteration

    def wait_for_more(self, process: Forked) -> None:
        """Wait until a run has finished another part, or ends."""
        before = self._found()
        while process.wait(0.002) is None and self._found() == before:
            pass

    def _found(self) -> tuple[dict[Path, tuple[int, int]], int]:
        parts: dict[Path, tuple[int, int]] = {}
        iteration = 0
        # Not rglob, which fails where a run that ends removes a folder meanwhile.
        for path in [Path(folder, name) for folder, _, files in os.walk(self._work) for name in files]:
            if path.suffix != ".safetensors" or path.name.startswith("."):
                continue
            if path.name != "resume.safetensors":
                with suppress(FileNotFoundError):
                    parts[path] = (path.stat().st_ino, path.stat().st_mtime_ns)
            elif (found := load_tensors(path)) is not None:
                iteration = found[1]["iteration"]
        return parts, iteration


@pytest.mark.parametrize("name", [*MANIFESTS, *FILES])
def test_a_killed_stage_goes_on_to_the_same_bytes(root, tmp_path, name):
    whole, made, call = contents(root), outputs(root, name), arguments(root, *STAGES[name])

    def reset() -> None:
        for path in made:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def finish() -> float:
        start = time.perf_counter()
        code, output = run_forked(call, tmp_path / "output")
        assert code == 0, output
        assert contents(root) == whole
        return time.perf_counter() - start

    run_forked(["--help"], tmp_path / "output")  # the first waits for the server
    reset()
    duration = finish()
    random, kills = np.random.default_rng(sum(map(ord, name))), 0
    progress = Progress(root)

    def kept_work() -> bool:
        """Moments are random: go on until a run has kept parts, or training an iteration."""
        return bool(progress.parts_kept if name in IN_PARTS else name != "train" or progress.iterations_kept)

    for attempt in range(ATTEMPTS):
        if attempt % IN_A_ROW == 0:
            if attempt:
                finish()
            if kills >= KILLS and kept_work():
                break
            reset()
            progress.forget()
        moment = float(random.uniform(0, duration))
        process = Forked(call, tmp_path / "output")
        if attempt % 2 and name in (*IN_PARTS, "train"):  # half of the moments count from the first sign of work
            progress.wait_for_more(process)
            moment /= 4
        if process.wait(moment) is None and process.kill() < 0:
            kills += 1
            if made[-1].exists():  # its manifest: the stage was done, and clearing away its parts
                progress.forget()
            else:
                progress.check()
            assert under_final_names(root).items() <= whole.items()  # whole, or not there
        else:
            assert process.wait() == 0, process.output.read_text()  # it was faster; there is nothing to go on with
            assert contents(root) == whole
            reset()
            progress.forget()
    assert kills >= KILLS and kept_work()


def row_of(method: str) -> tuple[str, dict]:
    """The first row of params.yaml on a method, with its `train`."""
    rows = yaml.safe_load((ROOT / "params.yaml").read_text())["variants"]
    return next((name, row["train"]) for name, row in rows.items() if row["model"].get("method") == method)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"bilevel", "clip_zero_shot"}))
def test_training_by_every_other_method_goes_on_to_the_same_bytes(root, tmp_path, method):
    row, train = row_of(method)
    if "supervision" in train:
        succeeds(root, "label-pairs", "--dataset", "toyworld")
    call = arguments(root, "train", "--variant", row)

    def finish() -> None:
        code, output = run_forked(call, tmp_path / "output")
        assert code == 0, output

    finish()
    whole = contents(root)
    shutil.rmtree(root / f"cache/toyworld/checkpoints/{row}")
    progress = Progress(root)
    for _ in range(2):
        process = Forked(call, tmp_path / "output")
        progress.wait_for_more(process)
        assert process.kill() < 0, process.output.read_text()
        progress.check()
    assert progress.iterations_kept
    finish()
    assert contents(root) == whole
