"""`torchrun -m stages.train`: two ranks on the CPU against one process, and what is seen of a mistake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from pipeline.data.bags import EpochSampler
from pipeline.store.files import sha256_of
from tests import warm_python
from tests.conftest import ROOT
from tests.roots import copied
from tests.stages.own_dataset import SOURCE, edit_custom

pytestmark = pytest.mark.slow
TRAIN = ("-m", "stages.train", "--dataset", "custom", "--device", "cpu", "--again")  # the root's run is finished


def run(root: Path, *launcher: str) -> subprocess.CompletedProcess[str]:
    python = f"{warm_python.folder()}/python"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHON_EXEC": python}
    call = [python, *launcher, *TRAIN, "--root", str(root)]
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)


def two_ranks(root: Path) -> subprocess.CompletedProcess[str]:
    return run(root, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_two_ranks_train_what_one_process_trains(own_dataset, tmp_path):
    root = copied(own_dataset, tmp_path / "two")
    manifest, checkpoint = Path("manifests/custom/runs/train-ours.json"), Path("cache/custom/checkpoints/ours")
    (root / manifest).unlink()
    shutil.rmtree(root / checkpoint)
    done = two_ranks(root)
    assert done.returncode == 0, done.stderr
    ours, theirs = (json.loads((folder / manifest).read_text()) for folder in (root, own_dataset))
    assert ours["counts"] == theirs["counts"] | {"ranks": 2}
    for key in ("inputs", "params_digest", "seed", "arguments"):
        assert ours[key] == theirs[key]
    shared, alone = (load_file(folder / checkpoint / "model.safetensors") for folder in (root, own_dataset))
    # Three steps of a warm-up's first rates: rounding is all that there is to differ.
    worst = max(float((shared[key].float() - alone[key].float()).abs().max()) for key in alone)
    assert worst < 1e-5
    assert (root / checkpoint / "config.json").read_bytes() == (own_dataset / checkpoint / "config.json").read_bytes()
    assert not (root / "cache/custom/work/train-ours").exists()


def test_a_mistake_that_one_rank_meets_is_one_line_and_ends_all(own_dataset, tmp_path):
    root = copied(own_dataset, tmp_path / "damaged")
    (root / SOURCE / "train" / "photo 3.png").write_bytes(b"")
    before = {
        path: path.stat().st_mtime_ns
        for path in (root / "cache").rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }
    done = two_ranks(root)
    assert done.returncode != 0
    own = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(own) == 1
    assert "photo 3.png: image has changed" in own[0]
    assert "stages/train.py" not in done.stderr  # torchrun's own report follows, no traceback of ours
    assert before == {
        path: path.stat().st_mtime_ns
        for path in (root / "cache").rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_one_process_does_not_go_on_with_what_two_ranks_began(own_dataset, tmp_path):
    """Their random numbers and sums are others: the manifest of one process would hide them."""
    root = copied(own_dataset, tmp_path / "root")

    def short(section):
        section["train"].update(batch_size=4, checkpoint_every=1)
        section["model"].update(bilevel={"calibrate_global_bias": False})  # which would open the last image first

    edit_custom(root, short)
    assert run(root).returncode == 0
    checkpoint, work = root / "cache/custom/checkpoints/ours", root / "cache/custom/work/train-ours"
    expected = sha256_of(checkpoint)
    last = list(EpochSampler(images=np.arange(24), batch_size=4, seed=0, start=0, epochs=1))[-1][-1]
    image = root / SOURCE / json.loads((root / "manifests/custom/train.json").read_text())["images"][last]["path"]
    image.rename(image.with_suffix(".away"))
    assert two_ranks(root).returncode != 0
    (left,) = (path.parent for path in work.rglob("resume.safetensors"))
    image.with_suffix(".away").rename(image)
    done = run(root)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("set aside") == 1 and f"{left}: 1 file of a run" in done.stderr
    assert sha256_of(checkpoint) == expected
    assert not work.exists()
