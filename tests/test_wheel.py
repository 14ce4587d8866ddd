"""The wheel, in an empty folder and without the repository: what works there, and what says that it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.clones import copy_repository, run_in
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> Path:
    """What the wheel holds, unpacked."""
    source, content = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("content")
    copy_repository(source)
    run_in(
        source, sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", "."
    )  # fmt: skip
    (wheel,) = (source / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(content)
    return content


def python(content: Path, folder: Path, *call: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with the wheel's content alone on the path before the installed libraries."""
    environment = os.environ | {"PYTHONPATH": str(content)}
    return subprocess.run([sys.executable, *call], cwd=folder, env=environment, capture_output=True, text=True)


def test_predict_and_import_work_in_an_empty_folder(content, tmp_path):
    image = ROOT / "examples" / "toyworld.png"
    call = ("-m", "stages.cli", "predict", str(image), "--json", "out.json", "--draw", "drawn")
    done = python(content, tmp_path, *call)
    assert done.returncode == 0, done.stderr
    assert "toyworld/ours, shipped with weakhoi" in done.stderr
    code = f"import weakhoi, json; print(json.dumps([weakhoi.__file__, weakhoi.load()({str(image)!r}).to_json()]))"
    done = python(content, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    place, result = json.loads(done.stdout)
    assert Path(place).parent == content
    (found,) = json.loads((tmp_path / "out.json").read_text())["images"]
    assert found["detections"] and found["detections"] == result["detections"]
    assert {path.name for path in tmp_path.iterdir()} == {"out.json", "drawn"}


@pytest.mark.parametrize("call", [("train", "--dataset", "toyworld"), ("summary", "--dataset", "toyworld")])
def test_what_needs_the_repository_says_so(content, tmp_path, call):
    done = python(content, tmp_path, "-m", "stages.cli", *call)
    line = "Error: params.yaml does not exist; run from the root of a clone of the repository, or give --root\n"
    assert (done.returncode, done.stderr) == (2, line)
    assert list(tmp_path.iterdir()) == []
