"""Files that this user may not read: every command says so in one line, and leaves everything as it is."""

from __future__ import annotations

import ctypes
import struct

import pytest

from tests.faults.forked import run_forked
from tests.faults.stages import STAGES, arguments
from tests.faults.test_kill import contents

pytestmark = pytest.mark.slow
CACHE, SPLITS = "cache/toyworld", "manifests/toyworld"
CLOSED = [
    *((name, "params.yaml") for name in ("prepare", "report")),
    ("detect", f"{SPLITS}/train.json"),
    ("detect", f"{CACHE}/images/train/000000.png"),
    ("train", f"{SPLITS}/vocabulary.json"),
    ("train", f"{CACHE}/proposals/train.h5"),
    ("train", f"{CACHE}/knowledge_bank.h5"),
    ("infer", f"{CACHE}/proposals/test.h5"),
    ("infer", f"{CACHE}/checkpoints/ours/model.safetensors"),
    ("infer", f"{SPLITS}/runs/train-ours.json"),
    ("evaluate", f"{CACHE}/ground_truth/test.json"),
    ("evaluate", f"{CACHE}/predictions/ours.zarr/image_logits"),
    ("report", "results/toyworld/ours.json"),
]


def give_up_rights() -> None:
    """Root reads everything by its capabilities: this process gives them up."""
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)  # version 3, this process; no capability in any set
    if ctypes.CDLL(None, use_errno=True).capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def refused(root, tmp_path, call) -> str:
    code, output = run_forked(call, tmp_path / "output", give_up_rights)
    assert code == 2, output
    return output


@pytest.mark.parametrize(("stage", "name"), CLOSED)
def test_a_closed_input_is_one_line(root, tmp_path, stage, name):
    whole = contents(root)
    mode = (root / name).stat().st_mode
    (root / name).chmod(0)
    output = refused(root, tmp_path, arguments(root, *STAGES[stage]))
    (root / name).chmod(mode)
    assert output.count("\n") == 1, output
    assert output.startswith("Error: ")
    assert "Permission denied" in output
    assert str(root / name) in output
    assert contents(root) == whole


def test_verify_lists_what_is_closed_and_goes_on(root, tmp_path):
    closed = [f"{CACHE}/proposals/test.h5", f"{CACHE}/checkpoints/ours/config.json"]
    for name in closed:
        (root / name).chmod(0)
    (root / f"{CACHE}/knowledge_bank.h5").write_text("changed")
    output = refused(root, tmp_path, ["verify", "--root", str(root)])
    for name in closed:
        assert f"cannot be read ({root / name}: Permission denied)" in output
    assert f"{CACHE}/knowledge_bank.h5: output of encode_prompts has sha256" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "name", ["params.yaml", f"{CACHE}/checkpoints/ours/model.safetensors", "photos", "photos/a.png"]
)
def test_predict_names_what_is_closed(root, tmp_path, name):
    (root / "photos").mkdir()
    (root / f"{CACHE}/images/test/000000.png").rename(root / "photos/a.png")
    (root / name).chmod(0)
    call = ["predict", str(root / "photos"), "--root", str(root), "--device", "cpu"]
    code, output = run_forked(call, tmp_path / "output", give_up_rights)
    (root / name).chmod(0o700)
    assert code == (3 if name == "photos/a.png" else 2), output
    assert str(root / name) in output and "Permission denied" in output
    assert "Traceback" not in output


def test_rerun_names_what_is_closed(root, tmp_path):
    (root / f"{CACHE}/proposals/test.h5").chmod(0)
    call = ["rerun", str(root / f"{SPLITS}/runs/infer-ours-test.json"), "--root", str(root)]
    output = refused(root, tmp_path, call)
    assert output.count("\n") == 1, output
    assert f"{root}/{CACHE}/proposals/test.h5: cannot be opened (Permission denied)" in output
