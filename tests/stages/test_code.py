from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from pipeline.store.files import sha256_of
from stages.code import command
from tests.conftest import ROOT


@pytest.fixture
def root(tmp_path):
    for name in ("pipeline", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "weights", "assets"))
    return tmp_path


def digests(root, *names) -> dict[str, bytes]:
    """The bytes that the command writes, by command."""
    result = CliRunner().invoke(command, [*names, "--folder", str(root / "code"), "--root", str(root)])
    assert result.exit_code == 0, result.output
    return {name: (root / f"code/{name}.json").read_bytes() for name in names}


def test_a_change_of_code_changes_the_digests_of_the_commands_that_reach_it(root):
    before = digests(root, "train", "score", "tsne")
    assert digests(root, "train", "score", "tsne") == before
    losses = root / "pipeline/methods/bilevel/losses.py"
    assert json.loads(before["train"])["pipeline/methods/bilevel/losses.py"] == sha256_of(losses)
    losses.write_text(losses.read_text() + "# more\n")
    after = digests(root, "train", "score", "tsne")
    assert {name for name in before if before[name] != after[name]} == {"train"}
    assert "stages/train.py" in json.loads(after["train"]) and "stages/infer.py" not in json.loads(after["train"])


@pytest.mark.parametrize(
    ("room", "commands"),
    [
        ("report", {"report", "tsne"}),
        ("evaluation", {"evaluate", "report", "tsne"}),
        ("truth", {"prepare"}),
        ("training", {"train"}),
        ("detection", {"detect", "train", "infer"}),
    ],
)
def test_a_new_key_of_a_section_changes_the_digests_of_those_that_read_its_room(room, commands, root):
    """So a knob of the report makes neither detection nor training stale."""
    names = ("prepare", "detect", "encode_prompts", "train", "infer", "evaluate", "report", "tsne")
    before = digests(root, *names)
    section = root / f"pipeline/{room}/params.py"
    section.write_text(f"{section.read_text()}    knob: Whole = 1\n")
    after = digests(root, *names)
    assert {name for name in names if before[name] != after[name]} == commands


def test_a_command_that_is_not_there_is_refused_and_nothing_written(root):
    call = ["train", "tnse", "--folder", str(root / "code"), "--root", str(root)]
    result = CliRunner().invoke(command, call)
    assert result.exit_code == 2
    assert 'no command "tnse"' in result.output and 'did you mean "tsne"?' in result.output
    assert not (root / "code").exists()
    assert CliRunner().invoke(command, ["_engine", "--folder", str(root)]).exit_code == 2
