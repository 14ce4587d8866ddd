from __future__ import annotations

import json
import shutil

import pytest

from pipeline.store.source_files import statements_digest
from tests.conftest import ROOT
from tests.roots import refused, succeeds, weakhoi


@pytest.fixture
def root(tmp_path):
    for name in ("pipeline", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "weights", "assets"))
    return tmp_path


def digests(root, folder, *names) -> dict[str, bytes]:
    """The bytes that the command writes, by command."""
    succeeds(root, "code", *names, "--folder", str(folder))
    return {name: (folder / f"{name}.json").read_bytes() for name in names}


def test_a_change_of_code_changes_the_digests_of_the_commands_that_reach_it(root):
    before = digests(root, root / "code", "train", "score", "tsne")
    assert digests(root, root / "code", "train", "score", "tsne") == before
    losses = root / "pipeline/methods/bilevel/losses.py"
    assert json.loads(before["train"])["pipeline/methods/bilevel/losses.py"] == statements_digest(losses)
    losses.write_text(losses.read_text() + "MORE = 1\n")
    after = digests(root, root / "code", "train", "score", "tsne")
    assert {name for name in before if before[name] != after[name]} == {"train"}
    assert "stages/train.py" in json.loads(after["train"]) and "stages/infer.py" not in json.loads(after["train"])


def test_a_new_key_of_a_section_changes_the_digests_of_those_that_read_its_room(tmp_path):
    """So a knob of the report makes neither detection nor training stale."""
    rooms = {
        "report": {"report", "tsne"},
        "evaluation": {"evaluate", "report", "tsne"},
        "truth": {"prepare"},
        "training": {"train"},
        "detection": {"detect", "train", "infer"},
    }
    names = ("prepare", "detect", "encode_prompts", "train", "infer", "evaluate", "report", "tsne")
    listed = {name: json.loads(text) for name, text in digests(ROOT, tmp_path, *names).items()}
    for room, commands in rooms.items():
        assert {name for name in names if f"pipeline/{room}/params.py" in listed[name]} == commands


def test_a_command_that_is_not_there_is_refused_and_nothing_written(root):
    line = refused(root, "code", "train", "tnse", "--folder", str(root / "code"))
    assert 'no command "tnse"' in line and 'did you mean "tsne"?' in line
    assert not (root / "code").exists()
    assert weakhoi(root, "code", "_command", "--folder", str(root)).exit_code == 2
