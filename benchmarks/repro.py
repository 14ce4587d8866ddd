"""What `dvc repro` costs: after a change of one weight, and, with --stages, each stage of the pipeline.

    python -m benchmarks.repro [--project FOLDER] [--stages] [--json result.json]

In a copy of the project's last commit, with its artifacts, the weight of one factor of the score is changed
(`toyworld.evaluate.weights`). `reweigh` is the CPU time of `dvc repro evaluate`: until the new mAP of all variants is
there, DVC included; `report` is that of `dvc repro` after it; `evaluate` is that of the stage's command alone, for one
variant. The bars: 5 seconds for the first, 1.5 for the last.

`--stages` runs every stage again, forced, one after the other, as `make repro` does on a project without artifacts:
CPU seconds of each, DVC's own second included. That takes minutes.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import yaml

from benchmarks.measure import ROOT, cpu_seconds_of, describe_machine, json_option, write_report
from benchmarks.pipeline import DVC, check_nothing_to_do, project_option, run_captured, run_quietly

REWEIGH_BAR, EVALUATE_BAR = 5.0, 1.5
_DATASET, _VARIANT, _FACTOR = "toyworld", "ours", "detector"


def copy_project(project: Path, folder: Path) -> Path:
    """Clone a project's last commit and copy the artifacts that belong to it into a cache of the clone's own.

    Raises:
        click.UsageError: something is to be done there: the artifacts are not those of the commit.
    """
    run_quietly(["git", "clone", "--quiet", str(project.absolute()), str(folder)], ROOT)
    cache = run_captured([*DVC, "cache", "dir"], project).stdout.strip()
    run_quietly([*DVC, "remote", "add", "--quiet", "--local", "--default", "project", cache], folder)
    run_quietly([*DVC, "pull", "--quiet"], folder)
    check_nothing_to_do(folder)
    return folder


def change_weight(params: Path) -> None:
    """Lower the weight of one factor of the score by a tenth, in params.yaml."""
    document = yaml.safe_load(params.read_text(encoding="utf-8"))
    document[_DATASET]["evaluate"]["weights"][_FACTOR] *= 0.9
    params.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def measure_reweigh(copy: Path, runs: int) -> dict[str, float]:
    """Medians of CPU seconds: to the new mAP of all variants, for the report after it, of `evaluate` alone."""
    evaluate = [sys.executable, "-m", "stages.evaluate", "--dataset", _DATASET, "--variant", _VARIANT]
    seconds: dict[str, list[float]] = {"reweigh": [], "report": [], "evaluate": []}
    for _ in range(runs):
        change_weight(copy / "params.yaml")
        seconds["reweigh"].append(cpu_seconds_of(lambda: run_quietly([*DVC, "repro", "evaluate"], copy)))
        seconds["report"].append(cpu_seconds_of(lambda: run_quietly([*DVC, "repro"], copy)))
        seconds["evaluate"].append(cpu_seconds_of(lambda: run_quietly(evaluate, copy)))
    return {name: statistics.median(found) for name, found in seconds.items()}


def measure_stages(copy: Path) -> dict[str, float]:
    """CPU seconds of every stage, forced, in the pipeline's order."""
    names = run_captured([*DVC, "stage", "list", "--name-only"], copy).stdout.split()
    costs = {}
    for name in names:
        costs[name] = cpu_seconds_of(lambda name=name: run_quietly([*DVC, "repro", "-f", "-s", name], copy))  # type: ignore[misc]
        print(f"{name:32} {costs[name]:7.2f} s of CPU", flush=True)
    print(f"{'all':32} {sum(costs.values()):7.2f} s of CPU")
    return costs


@click.command(help=__doc__)
@json_option
@project_option
@click.option("--stages", is_flag=True, help="Also run every stage again.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Changes of the weight.")
def command(output: Path | None, project: Path, stages: bool, runs: int) -> None:
    """Measure in a copy, print a table, write the figures."""
    report: dict[str, Any] = {
        "measured": "CPU seconds of dvc repro in a copy of the project",
        "machine": describe_machine(),
    }
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # stages run `python`
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_project(project, Path(folder, "copy"))
        report |= measure_reweigh(copy, runs)
        print(
            f"dvc repro after a change of weight: {report['reweigh']:.2f} s of CPU to the new mAP, the report "
            f"{report['report']:.2f} s; evaluate alone {report['evaluate']:.2f} s"
        )
        print(f"bar: {REWEIGH_BAR} s, evaluate alone {EVALUATE_BAR} s")
        if stages:
            report["stages"] = measure_stages(copy)
    write_report(report | {"reweigh_bar": REWEIGH_BAR, "evaluate_bar": EVALUATE_BAR}, output)


if __name__ == "__main__":
    command()
