from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.pipeline import DVC, HELP, ROOT, command, empty_project, measure_start_up, run_quietly


def _project(folder: Path) -> Path:
    """A project of one stage, which has not run yet."""
    empty_project(folder)
    (folder / "in.txt").write_text("1")
    stage = "stages:\n  copy:\n    cmd: cp in.txt out.txt\n    deps: [in.txt]\n    outs: [out.txt]\n"
    (folder / "dvc.yaml").write_text(stage)
    return folder


def test_start_up_is_measured_beyond_click():
    figures = measure_start_up(1)
    assert figures["help_seconds"] > 0
    assert figures["seconds"] == pytest.approx(figures["help_seconds"] - figures["click_seconds"])


def test_a_failing_command_is_not_timed():
    with pytest.raises(Exception, match=r"exit code 2 .*no command"):
        run_quietly([*HELP[:-1], "nothing-of-the-kind"], ROOT)


def test_a_project_with_something_to_do_is_refused_and_left_alone(tmp_path):
    result = CliRunner().invoke(command, ["--project", str(_project(tmp_path)), "--runs", "1"])
    assert result.exit_code == 2
    assert "something to do" in result.output
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.slow
def test_figures_are_written(measured, tmp_path):
    (tmp_path / "project").mkdir()
    project = _project(tmp_path / "project")
    run_quietly([*DVC, "repro"], project)
    _, figures = measured(command, "--project", str(project), "--runs=1")
    assert figures["ratio"] > 0
    assert figures["floor_ratio"] > 0
    assert figures["start_up"]["click_seconds"] > 0
