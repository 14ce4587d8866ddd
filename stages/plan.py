"""`plan`: what a run needs, from shapes alone: parameters, memory, disk, and the speed that its schedule asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import ExecutionParams, load_execution, load_params
from pipeline.config.run import Run
from pipeline.planning.dataset_sizes import Crowd, dataset_sizes
from pipeline.planning.run_plan import Memory, NoPlanError, RunPlan
from pipeline.report.table import markdown_table
from pipeline.store.files import write_json
from pipeline.store.targets import check_json_target
from stages._command import dataset_option, root_option, say, stage_command, variant_option

_KEYS = ("dataset", "variant", "parameters", "memory", "disk", "schedule")
_HOURS = (12.0, 24.0, 48.0, 96.0)


@stage_command(
    "plan",
    help="Print what a run needs before anything runs: parameters, peak memory of a training step and of inference, "
    "disk, and the images per second that its schedule asks for. No weights are needed, but files that params name by "
    "a path. Memory is that of tensors, of the most crowded batch.",
)
@dataset_option
@variant_option
@click.option("--ranks", type=click.IntRange(1), default=1, show_default=True, help="Processes that share each batch.")
@click.option(
    "--micro-batch", type=click.IntRange(1, 4096), show_default="execution.micro_batch of params.yaml",
    help="Images of a rank's share that are computed at once.",
)  # fmt: skip
@click.option(
    "--crowd", nargs=2, type=click.IntRange(0), metavar="PEOPLE OTHERS",
    help="Proposals of every image. Without it: those that were detected, or, before that, as many as "
    "train.max_proposals allows, half of them people.",
)  # fmt: skip
@click.option(
    "--hours", multiple=True, type=click.FloatRange(0, min_open=True), default=_HOURS, show_default=True,
    help="That training may take; may be repeated.",
)  # fmt: skip
@click.option(
    "--images-per-second", type=click.FloatRange(0, min_open=True), help="Of training: say how long it will take."
)
@click.option(
    "--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here, in bytes."
)
@root_option
def command(
    dataset: str, variant: str, ranks: int, micro_batch: int | None, crowd: tuple[int, int] | None,
    hours: tuple[float, ...], images_per_second: float | None, output: Path | None, root: Path,
) -> None:  # fmt: skip
    """Print the plan; with --json, also write it."""
    layout = Layout(root, dataset)
    params, execution = load_params(layout.params, dataset, Run.parse(variant)), load_execution(layout.params)
    if output is not None:
        check_json_target(output, _KEYS, what="plan", option="--json")
    execution = replace(execution, micro_batch=micro_batch or execution.micro_batch)
    sizes = dataset_sizes(layout, params, Crowd(*crowd) if crowd else None)
    plan = RunPlan(params, sizes, root)
    memory, reasons = _memory(plan, execution, ranks)
    trained, frozen = plan.parameters
    disk, schedule = plan.disk(), plan.schedule

    click.echo(f"# Plan of {dataset}, {variant}\n")
    click.echo(f"Images: {sizes.train.images:,} training, {sizes.test.images:,} test\n  ({sizes.images_from})")
    click.echo(f"Proposals: {sizes.proposals_from}")
    click.echo(f"Parameters: {trained / 1e6:,.2f} M trained, {frozen / 1e6:,.2f} M frozen\n")
    rows = [[name, *_cells(found)] for name, found in memory.items()]
    click.echo(markdown_table(["memory", "images", "pairs", "at rest GB", "peak GB"], rows))
    for reason in reasons:
        click.echo(f"Not known: {reason}\n")
    click.echo(markdown_table(["disk", "GB"], [[name, _gb(size)] for name, size in disk.items()]))
    if schedule.iterations:
        click.echo(f"Schedule: {schedule.iterations:,} iterations of {schedule.batch_size} images\n")
        rows = [[f"{time:g}", f"{schedule.images / time / 3600:,.1f}"] for time in hours]
        click.echo(markdown_table(["to train in hours", "images/s"], rows, 0))
    if images_per_second is not None:
        click.echo(f"At {images_per_second:g} images/s: {schedule.images / images_per_second / 3600:,.1f} hours")
    if output is not None:
        figures = {
            **{"dataset": dataset, "variant": variant, "ranks": ranks},
            "images": {"train": sizes.train.images, "test": sizes.test.images, "from": sizes.images_from},
            "proposals": sizes.proposals_from,
            "parameters": {"trained": trained, "frozen": frozen},
            "memory": {name: found and vars(found) for name, found in memory.items()},
            "disk": disk,
            "schedule": {**vars(schedule), "images": schedule.images},
        }
        write_json(output, figures)
        say(f"Wrote {output}")


def _memory(plan: RunPlan, execution: ExecutionParams, ranks: int) -> tuple[dict[str, Memory | None], list[str]]:
    """Memory of each way of a step, and of inference; None where it is not known, and the reasons."""
    works: dict[str, Callable[[], Memory]] = {}
    if plan.train.epochs:
        for name, way in plan.ways(execution).items():
            works[f"step, {name}"] = partial(plan.training, way, ranks=ranks)
    works["inference"] = plan.inference
    found: dict[str, Memory | None] = {}
    reasons: dict[str, None] = {}
    for name, work in works.items():
        try:
            found[name] = work()
        except NoPlanError as error:
            found[name] = None
            reasons[str(error)] = None
    return found, list(reasons)


def _cells(memory: Memory | None) -> list[str]:
    if memory is None:
        return [*"----"]
    return [f"{memory.images:,}", f"{memory.pairs:,}", _gb(memory.at_rest), _gb(memory.peak)]


def _gb(size: int) -> str:
    return f"{size / 1e9:,.3f}"


if __name__ == "__main__":
    command()
