"""What every command shares: errors as one line with exit code 2, common options, progress bars."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.core.errors import NoMemoryError, UserError, closed_file_error, printable, resource_error
from pipeline.core.names import MAX_SEED, SPLITS
from pipeline.store.cluster import chosen_cluster

RUN_SEED = click.IntRange(0, MAX_SEED)

# What lowers a stage's use of memory. Pairs of an image grow with the square of its proposals.
_LESS_MEMORY = {
    "detect": "lower detect.batch_size",
    "encode-images": "lower encode_images.batch_size",
    "train": "lower train.batch_size, train.max_proposals or train.num_workers",
    "infer": "lower infer.batch_size, or infer.max_proposals where one image is too much",
    "label": "lower label.batch_size, or label.max_proposals where one image is too much",
    "represent": "lower infer.batch_size, or infer.max_proposals where one image is too much",
    "predict": "lower --batch-size, or infer.max_proposals where one image is too much",
}


class _OneLine(click.ClickException):
    """A user's mistake: printed as one line."""

    exit_code = UserError.exit_code

    def __init__(self, error: UserError, stage: str) -> None:
        line = " ".join(str(error).split())
        if isinstance(error, NoMemoryError):
            line += f"; {_LESS_MEMORY.get(stage, 'close other programs, or take a machine with more memory')}"
        super().__init__(printable(line))


class _Command(click.Command):
    """A command that also reports wrong options in one line, without click's usage."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = None
            raise


def stage_command(name: str, **options: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a click command whose `UserError`s become one line on stderr and exit code 2."""

    def declare(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except UserError as error:
                raise _OneLine(error, name) from error
            except Exception as error:
                if (known := resource_error(error) or closed_file_error(error)) is None:
                    raise
                raise _OneLine(known, name) from error

        return click.command(name, cls=_Command, **options)(guarded)

    return declare


def root_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --root, the repository root that all paths are relative to."""
    return click.option(
        "--root",
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        default=Path(),
        show_default="the current folder",
        help="Repository root: params.yaml, manifests/, cache/ and results/ lie there.",
    )(function)


def dataset_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --dataset, a section of params.yaml."""
    return click.option("--dataset", required=True, help="A dataset section of params.yaml, e.g. toyworld.")(function)


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --variant and --seed, which name one training run."""
    seed = click.option("--seed", type=RUN_SEED, default=None, help="Run seed of a study; default: train.seed.")
    return variant_option(seed(function))


def variant_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --variant."""
    return click.option("--variant", default="ours", show_default=True, help="A row of params.yaml: variants.")(
        function
    )


def split_option(*choices: str, default: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --split: one of `choices`, by default of all; required where there is no `default`."""
    return click.option(
        "--split",
        type=click.Choice(choices or SPLITS),
        required=default is None,
        default=default,
        show_default=True,
        help="Images of the dataset.",
    )


def boxes_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --boxes: the stage gets `annotated_boxes`, whether it is "annotated"."""

    @functools.wraps(function)
    def chosen(*args: Any, boxes: str, **kwargs: Any) -> Any:
        return function(*args, annotated_boxes=boxes == "annotated", **kwargs)

    return click.option(
        "--boxes",
        type=click.Choice(["detected", "annotated"]),
        default="detected",
        show_default=True,
        help="What pairs are made of; annotated: those that annotated-proposals wrote (docs/protocols.md).",
    )(chosen)


def split_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Split an option's values at commas outside of brackets; the option itself may be repeated."""
    return tuple(name for text in texts for name in re.split(r",(?![^\[]*\])", text))


def device_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --device."""
    return click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")(function)


def scheduler_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --scheduler; where it is not given, the stage takes `execution.scheduler` of params.yaml.

    The stage gets the address (None: this process) and, for a cluster, a root that its workers can open too.
    """

    @functools.wraps(function)
    def chosen(*args: Any, dataset: str, scheduler: str | None, root: Path, **kwargs: Any) -> Any:
        address, base = chosen_cluster(scheduler, load_execution(Layout(root, dataset).params), root)
        return function(*args, dataset=dataset, scheduler=address, root=base, **kwargs)

    return click.option(
        "--scheduler",
        metavar="ADDRESS",
        default=None,
        show_default="execution.scheduler of params.yaml",
        help="A running dask.distributed scheduler, e.g. tcp://host:8786; its workers see the same files.",
    )(chosen)


@contextmanager
def progress(total: int, label: str, unit: str = "img", *, hidden: bool = False) -> Iterator[Callable[..., None]]:
    """Yield `advance(count, **figures)`; draws a bar on a terminal, nothing elsewhere or where hidden."""
    with tqdm(total=total, desc=label, unit=unit, disable=hidden or not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def advance(count: int = 1, **figures: float) -> None:
            if figures:
                bar.set_postfix({name: f"{value:.3f}" for name, value in figures.items()}, refresh=False)
            bar.update(count)

        yield advance
