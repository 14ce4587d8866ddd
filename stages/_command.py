"""What every command shares: errors as one line with exit code 2, common options, progress bars."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pipeline.core.errors import UserError

# openai-clip 1.0.1 imports pkg_resources; nothing that a user of ours could mend.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")


class _OneLine(click.ClickException):
    """A user's mistake: printed as one line."""

    exit_code = UserError.exit_code

    def __init__(self, error: UserError) -> None:
        line = " ".join(str(error).split())
        super().__init__(line.encode("utf-8", "replace").decode())  # names of files need not be UTF-8


def stage_command(name: str, **options: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a click command whose `UserError`s become one line on stderr and exit code 2."""

    def declare(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except UserError as error:
                raise _OneLine(error) from error

        return click.command(name, **options)(guarded)

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
    seed = click.option("--seed", type=int, default=None, help="Run seed of a study; default: train.seed.")
    variant = click.option("--variant", default="ours", show_default=True, help="A row of params.yaml: variants.")
    return variant(seed(function))


def device_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --device."""
    return click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")(function)


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
