"""What every command shares: errors as one line with exit code 2, common options, how much it says, progress."""

from __future__ import annotations

import functools
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from pipeline.config.file import no_repository
from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.core.errors import NoMemoryError, UserError, closed_file_error, printable, resource_error
from pipeline.core.names import MAX_SEED, SPLITS
from pipeline.store.cluster import chosen_cluster

HELP = {"help_option_names": ["-h", "--help"]}
RUN_SEED = click.IntRange(0, MAX_SEED)
_LOUDNESS = {
    "quiet": "Print results and errors alone.",
    "verbose": "Print also what is read and written, more progress, and where an error comes from.",
}
_EVERY = 60.0  # seconds between two lines of progress,
_EVERY_VERBOSE = 10.0  # with -v
_BAR = "{desc} |{bar}| {n_fmt}/{total_fmt} {rate_fmt} {remaining}{postfix}"
_BAR_LABEL, _BAR_FIGURES = 18, 2  # characters and figures that a terminal of 80 columns has room for

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
        if isinstance(error, NoMemoryError) and error.remedy is None:
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
                with _shown_log():
                    return function(*args, **kwargs)
            except Exception as error:
                known = error if isinstance(error, UserError) else resource_error(error) or closed_file_error(error)
                if known is None:
                    raise
                if _asked_for("verbose"):
                    say(traceback.format_exc())
                raise _OneLine(known, name) from error

        command = click.command(name, cls=_Command, context_settings=HELP, **options)(guarded)
        command.params += [_loudness(level, text) for level, text in _LOUDNESS.items()]
        return command

    return declare


def _loudness(level: str, text: str) -> click.Option:
    """-q or -v, which `_asked_for` reads; the command itself does not see them."""

    def keep(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        ctx.meta[f"{__name__}.{level}"] = value

    return click.Option((f"-{level[0]}", f"--{level}"), is_flag=True, expose_value=False, callback=keep, help=text)


def _asked_for(level: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(f"{__name__}.{level}"))


def say(text: str) -> None:
    """Print a note for the user on stderr, above a bar that is drawn there; nothing with -q."""
    if not _asked_for("quiet"):
        with tqdm.external_write_mode(file=sys.stderr):
            click.echo(text, err=True)


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def _shown_log() -> Iterator[None]:
    """With -v, what the library logs is printed."""
    logger, handler = logging.getLogger("pipeline"), _Saying()
    if not _asked_for("verbose"):
        yield
        return
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def root_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --root, the repository root that all paths are relative to; the command is refused where there is none."""

    @functools.wraps(function)
    def inside(*args: Any, root: Path, **kwargs: Any) -> Any:
        if not (params := Layout(root, "none").params).exists():
            raise no_repository(params)
        return function(*args, root=root, **kwargs)

    return anywhere_root_option(inside)


def anywhere_root_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --root to a command that works without the repository too."""
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
    seed = click.option("--seed", type=RUN_SEED, show_default="train.seed of params.yaml", help="Run seed of a study.")
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
    """Yield `advance(count, **figures)`: a bar on a terminal, elsewhere or with -v a line every so often.

    The bar has room for the first two figures, a line holds all. Nothing is shown where hidden, or with -q.
    """
    hidden, verbose, terminal = hidden or _asked_for("quiet"), _asked_for("verbose"), sys.stderr.isatty()
    name = label if len(label) <= _BAR_LABEL else f"{label[: _BAR_LABEL - 1]}…"
    lines = ProgressLines(total, label, unit, every=_EVERY_VERBOSE if verbose else _EVERY)
    with tqdm(
        total=total, desc=name, unit=unit, disable=hidden or not terminal, dynamic_ncols=True, bar_format=_BAR
    ) as bar:

        def advance(count: int = 1, **figures: float | str) -> None:
            shown = [_figure(*item) for item in figures.items()]
            bar.set_postfix_str(", ".join(shown[:_BAR_FIGURES]), refresh=False)
            bar.update(count)
            if not hidden and (verbose or not terminal) and (line := lines.advance(count, shown)):
                say(line)

        yield advance


def _figure(name: str, value: float | str) -> str:
    return f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:.4g}'}"


class ProgressLines:
    """How far work is, as a line at most once in `every` seconds; the rate is that since the line before.

    What the first call counts was there before or took the start-up, so it is in no rate.

    Args:
        clock: returns seconds.
    """

    def __init__(
        self, total: int, label: str, unit: str, *, every: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._label, self._unit, self._every, self._clock = total, label, unit, every, clock
        self._done = 0
        self._last: tuple[float, int] | None = None  # when, and how much was done

    def advance(self, count: int, figures: Iterable[str] = ()) -> str | None:
        """Count work that is done; return the line where one is due."""
        self._done += count
        now = self._clock()
        if self._last is None:
            self._last = now, self._done
            return None
        seconds, done = now - self._last[0], self._done - self._last[1]
        if seconds < self._every:
            return None
        self._last = now, self._done
        left = tqdm.format_interval((self._total - self._done) * seconds / done) if done else "?"
        share = f"{self._done}/{self._total} {self._unit}, {done / seconds:.3g} {self._unit}/s, {left} left"
        return "; ".join((f"{self._label}: {share}", *filter(None, [", ".join(figures)])))
