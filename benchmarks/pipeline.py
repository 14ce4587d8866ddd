"""How long the pipeline takes to find that there is nothing to do, and its command line to start.

    python -m benchmarks.pipeline [--project FOLDER] [--json result.json]

`ratio` is the time of `dvc repro` on a project that is up to date over that of `dvc status` in an empty DVC project,
the median of paired runs; `floor_ratio` is the same time over that of starting DVC alone (`import dvc.cli`), which no
arithmetic can shorten. `start_up` is the CPU time of `weakhoi --help` beyond that of `python -c "import click"`. The
bar: 3 times, and 0.3 seconds.

A project in which something is to be done is refused: nothing is ever run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.measure import (
    ROOT,
    cpu_seconds_of,
    describe_machine,
    json_option,
    measure_pairs,
    seconds_of,
    write_report,
)

REPRO_BAR, START_UP_BAR = 3.0, 0.3
DVC = (sys.executable, "-m", "dvc")
HELP = (sys.executable, "-c", "from stages.cli import main; main(prog_name='weakhoi')", "--help")  # the console script
CLICK = (sys.executable, "-c", "import click")
START_DVC = (sys.executable, "-c", "import dvc.cli")
project_option = click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT,
    help="Project that is up to date.  [default: this one]",
)


def run_captured(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep its output, DVC without analytics."""
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run_quietly(command: Sequence[str], folder: Path) -> None:
    """Run a command to its end without its output.

    Raises:
        click.ClickException: it failed; with its last line.
    """
    done = run_captured(command, folder)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise click.ClickException(f"{' '.join(command)}: exit code {done.returncode} in {folder}: {last}")


def check_nothing_to_do(project: Path) -> None:
    """Refuse a project that `dvc repro` would change.

    Raises:
        click.UsageError: a stage would run, or there is no project.
    """
    if run_captured([*DVC, "status", "--quiet", "dvc.yaml"], project).returncode:
        raise click.UsageError(
            f"{project}: `dvc status` says that there is something to do or nothing to look at; expected a project "
            "that is up to date; run `dvc repro` there, or name another with --project"
        )


def empty_project(folder: Path) -> Path:
    """Make a DVC project without stages, under git as ours is."""
    run_quietly(["git", "init", "--quiet"], folder)
    run_quietly([*DVC, "init", "--quiet"], folder)
    return folder


def measure_nothing_to_do(project: Path, runs: int) -> dict[str, Any]:
    """Time `dvc repro` and `dvc status` of an empty project in turns, then DVC's own start."""
    check_nothing_to_do(project)
    with tempfile.TemporaryDirectory() as folder:
        empty = empty_project(Path(folder))
        pair = measure_pairs(
            lambda: run_quietly([*DVC, "repro"], project), lambda: run_quietly([*DVC, "status"], empty), runs
        )
        floor = min(seconds_of(lambda: run_quietly(START_DVC, empty)) for _ in range(runs))
    return {
        "ratio": pair.ratio,
        "floor_ratio": min(pair.reference) / floor,
        "repro_seconds": statistics.median(pair.reference),
        "empty_status_seconds": statistics.median(pair.ours),
        "floor_seconds": floor,
        "paired_runs": runs,
    }


def measure_start_up(runs: int) -> dict[str, Any]:
    """CPU seconds of `weakhoi --help` and of Python with click, in turns."""
    pair = measure_pairs(lambda: run_quietly(CLICK, ROOT), lambda: run_quietly(HELP, ROOT), runs, clock=cpu_seconds_of)
    return {
        "seconds": statistics.median(whole - bare for bare, whole in zip(pair.reference, pair.ours, strict=True)),
        "help_seconds": statistics.median(pair.ours),
        "click_seconds": statistics.median(pair.reference),
        "paired_runs": runs,
    }


@click.command(help=__doc__)
@json_option
@project_option
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Paired runs.")
def command(output: Path | None, project: Path, runs: int) -> None:
    """Measure, print a table, write the figures."""
    machine = describe_machine()
    figures = measure_nothing_to_do(project, runs)
    start_up = measure_start_up(runs)
    print(
        f"dvc repro, nothing to do: {figures['repro_seconds']:.2f} s, dvc status in an empty project "
        f"{figures['empty_status_seconds']:.2f} s: {figures['ratio']:.2f} x; "
        f"starting DVC {figures['floor_seconds']:.2f} s, {figures['floor_ratio']:.2f} x above it"
    )
    print(
        f"weakhoi --help: {start_up['help_seconds']:.3f} s of CPU, Python and click {start_up['click_seconds']:.3f} s: "
        f"{start_up['seconds']:.3f} s beyond them"
    )
    print(f"bar: {REPRO_BAR} x, {START_UP_BAR} s")
    report = {
        "measured": "dvc repro with nothing to do over dvc status in an empty project; floor: import dvc.cli",
        **figures,
        "start_up": start_up,
        "repro_bar": REPRO_BAR,
        "start_up_bar": START_UP_BAR,
        "machine": machine,
    }
    write_report(report, output)


if __name__ == "__main__":
    command()
