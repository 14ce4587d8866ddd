import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.pipeline import DVC, ROOT, empty_project, run_quietly
from benchmarks.repro import change_weight, command

DVC_YAML = """stages:
  evaluate:
    cmd: python -m stages.evaluate
    params: [toyworld.evaluate]
    outs: [scores.txt]
  report:
    cmd: cp scores.txt report.txt
    deps: [scores.txt]
    outs: [report.txt]
"""
EVALUATE = "import pathlib\npathlib.Path('scores.txt').write_text(pathlib.Path('params.yaml').read_text())\n"


def test_one_number_changes(tmp_path):
    params = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    before = yaml.safe_load(params.read_text())
    change_weight(params)
    after = yaml.safe_load(params.read_text())
    assert after["toyworld"]["evaluate"]["weights"].pop("detector") == pytest.approx(
        0.9 * before["toyworld"]["evaluate"]["weights"].pop("detector")
    )
    assert after == before


@pytest.mark.slow
def test_a_copy_is_measured_and_the_project_stays(measured, tmp_path, monkeypatch):
    """A project of two stages, whose artifacts the copy takes from its cache."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # stages run `python`
    project = tmp_path / "project"
    (project / "stages").mkdir(parents=True)
    empty_project(project)
    (project / "params.yaml").write_text("toyworld: {evaluate: {weights: {detector: 2.0}}}\n")
    (project / "dvc.yaml").write_text(DVC_YAML)
    (project / "stages" / "__init__.py").touch()
    (project / "stages" / "evaluate.py").write_text(EVALUATE)
    run_quietly([*DVC, "repro"], project)
    run_quietly(["git", "add", "--all"], project)
    run_quietly(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "all"], project)
    printed, figures = measured(command, "--project", str(project), "--runs=1", "--stages")
    assert set(figures["stages"]) == {"evaluate", "report"}
    assert min(figures["reweigh"], figures["report"], figures["evaluate"], *figures["stages"].values()) > 0
    assert "to the new mAP" in printed
    assert (project / "report.txt").read_text() == (project / "params.yaml").read_text()
