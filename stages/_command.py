"""What every command shares: errors as one line with exit code 2, common options, progress bars."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from pipeline.core.errors import UserError, closed_file_error, printable, resource_error
from pipeline.core.names import MAX_SEED, SPLITS

RUN_SEED = click.IntRange(0, MAX_SEED)

# openai-clip 1.0.1 imports pkg_resources; nothing that a user of ours could mend.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")


class _OneLine(click.ClickException):
    """A user's mistake: printed as one line."""

    exit_code = UserError.exit_code

    def __init__(self, error: UserError) -> None:
        super().__init__(printable(" ".join(str(error).split())))


class _Command(click.Command):
    """A command whose wrong options are one line too, without click's lines of usage."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = None
            raise


def stage_command(
    name: str, *, one_of: tuple[str, ...] | None = None, **options: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a click command whose `UserError`s become one line on stderr and exit code 2.

    Args:
        one_of: options beside --dataset that tell its outputs apart; at any time, one process at most may run it with
            the same values of these. None: it writes no artifact, and any number may run.
    """

    def declare(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                with nullcontext() if one_of is None else _only_run(name, one_of, kwargs):
                    return function(*args, **kwargs)
            except UserError as error:
                raise _OneLine(error) from error
            except Exception as error:
                if (known := resource_error(error) or closed_file_error(error)) is None:
                    raise
                raise _OneLine(known) from error

        return click.command(name, cls=_Command, **options)(guarded)

    return declare


def _only_run(stage: str, one_of: tuple[str, ...], chosen: Mapping[str, Any]) -> AbstractContextManager[None]:
    from pipeline.core.layout import Layout
    from pipeline.store.lock import hold_lock

    if os.environ.get("RANK", "0") != "0":  # of the ranks of torchrun the first writes, and holds the lock for all
        return nullcontext()
    values = [str(chosen[name]) for name in one_of if chosen[name] is not None]
    layout = Layout(chosen["root"], chosen["dataset"])
    return hold_lock(layout.lock(stage, *values), " ".join((stage, layout.dataset, *values)))


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
    variant = click.option("--variant", default="ours", show_default=True, help="A row of params.yaml: variants.")
    return variant(seed(function))


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


def device_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --device."""
    return click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")(function)


def scheduler_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --scheduler; where it is not given, the stage takes `execution.scheduler` of params.yaml."""
    return click.option(
        "--scheduler",
        metavar="ADDRESS",
        default=None,
        show_default="execution.scheduler of params.yaml",
        help="A running dask.distributed scheduler, e.g. tcp://host:8786; its workers see the same files.",
    )(function)


@contextmanager
def progress(total: int, label: str, unit: str = "img", *, hidden: bool = False) -> Iterator[Callable[..., None]]:
    """Yield `advance(count, **figures)`; draws a bar on a terminal, nothing elsewhere or where hidden."""
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit=unit, disable=hidden or not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def advance(count: int = 1, **figures: float) -> None:
            if figures:
                bar.set_postfix({name: f"{value:.3f}" for name, value in figures.items()}, refresh=False)
            bar.update(count)

        yield advance
