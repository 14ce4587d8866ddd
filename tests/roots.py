"""Repository roots in scratch folders, and commands that run on them in this process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from stages.cli import main
from tests import warm_python
from tests.conftest import ROOT

WEIGHTS = "pipeline/toyworld/weights"


def weakhoi(root: Path, *call: str) -> Result:
    return CliRunner().invoke(main, [*call, "--root", str(root)])


def succeeds(root: Path, *call: str) -> Result:
    done = weakhoi(root, *call)
    assert done.exit_code == 0, (call, done.output, done.exception)
    return done


def refused(root: Path, *call: str) -> str:
    """Run a command that the user must mend; return the one line that it prints."""
    done = weakhoi(root, *call)
    assert done.exit_code == 2, (call, done.output, done.exception)
    (line,) = done.output.strip().splitlines()
    assert line.startswith("Error: ")
    return line


def repeats(root: Path, *records: Path | str) -> None:
    """`weakhoi rerun` makes the bytes again that manifests record, each stage in a process that starts at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", f"{warm_python.folder()}/python")
        for record in records:
            assert "outputs are byte-identical" in succeeds(root, "rerun", str(root / record)).output


def edit_params(root: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = root / "params.yaml"
    document = yaml.load(path.read_text(), yaml.CSafeLoader)
    edit(document)
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))


def one_epoch(document: dict[str, Any]) -> None:
    """No row trains for longer by settings of its own."""
    for row in document["variants"].values():
        row["train"]["epochs"] = min(1, row["train"].get("epochs", 1))


def new_root(root: Path, edit: Callable[[dict[str, Any]], object] = lambda document: None) -> Path:
    """The shipped params.yaml, edited, and a link to the toyworld's weights; no stage has run."""
    shutil.copy(ROOT / "params.yaml", root)
    edit_params(root, one_epoch)
    edit_params(root, edit)
    (root / WEIGHTS).parent.mkdir(parents=True)
    (root / WEIGHTS).symlink_to(ROOT / WEIGHTS)
    return root


def copied(root: Path, target: Path) -> Path:
    return Path(shutil.copytree(root, target, symlinks=True))
