"""`download`: fetch published weights, and what can be fetched of a dataset; say what is left to do by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import torch

from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.store.fetch import Report, fetch
from pipeline.store.file_content import published_fault
from pipeline.store.published import CLIP_FILES, CLIP_FOLDER, DATASETS, LICENSES, TORCHVISION_FILES, PublishedFile
from stages._command import progress, stage_command

WEIGHTS = "weights"
PAPER_WEIGHTS = ("RN50", "fasterrcnn_resnet50_fpn/COCO_V1")  # those of section hicodet of params.yaml
_HELP = f"""Fetch what others publish: a dataset (hicodet, vcoco), or weights by name.

Weights are by default {" and ".join(PAPER_WEIGHTS)}; CLIP's go to ~/.cache/clip and torchvision's to torch's folder,
where all commands look for them. A download that was cut off goes on where it ended; each file is compared with its
published sha256.

Of a dataset, what can be fetched lies beside its folder in the end; the steps that are left are printed. Run the same
call after them: exit code 0 says that the folder holds all of it.
"""


@stage_command("download", help=_HELP, short_help="Fetch published weights or a dataset, and check what is there.")
@click.argument("what", type=click.Choice([*DATASETS, WEIGHTS]))
@click.argument("names", nargs=-1)
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="data/..., as params.yaml names it; of weights as above",
    help="Folder of the dataset, or for all of the weights.",
)
def command(what: str, names: tuple[str, ...], to: Path | None) -> None:
    """Fetch weights by name, or the parts of a dataset."""
    if what == WEIGHTS:
        _fetch_weights(names or PAPER_WEIGHTS, to)
        return
    if names:
        raise ParamError(f"{what} takes no names, found {names[0]}")
    _fetch_dataset(what, to or DATASETS[what].folder)


def _fetch_weights(names: tuple[str, ...], to: Path | None) -> None:
    known = {**CLIP_FILES, **TORCHVISION_FILES}
    for name in names:
        if name not in known:
            raise ParamError(f'no weights "{name}"{did_you_mean(name, known)}; expected one of {", ".join(known)}')
    for name in names:
        kind = "clip" if name in CLIP_FILES else "torchvision"
        folder = to or (CLIP_FOLDER.expanduser() if kind == "clip" else Path(torch.hub.get_dir()) / "checkpoints")
        path = folder / known[name].file_name
        _fetch(known[name], path)
        click.echo(f"{name}: {path}; license: {LICENSES[kind]}")


def _fetch_dataset(name: str, folder: Path) -> None:
    steps: list[str] = []
    missing: list[str] = []
    for part in DATASETS[name].parts:
        if not (lacks := part.missing(folder)):
            click.echo(f"{part.name}: complete")
            continue
        missing += lacks
        if part.sha256:
            size = f"{part.bytes / 1e9:.1f} GB; " if part.bytes else ""
            click.echo(f"{part.name}: {size}license: {part.license}")
            _fetch(PublishedFile(part.url, part.sha256), part.archive(folder))
        else:
            click.echo(f"{part.name}: to be got by hand; license: {part.license}")
        steps.append(part.next_step(folder))
    if not missing:
        click.echo(f"{folder}: complete")
        return
    for number, step in enumerate(steps, 1):
        click.echo(f"Step {number}: {step}")
    raise DataError(f"{folder}: lacks {', '.join(missing)}; do the steps above, then run this again")


def _fetch(file: PublishedFile, path: Path) -> None:
    """Fetch a file that is not there yet; one that is there must be the published one."""
    if not path.is_file():
        with _shown(path.name) as report:
            fetch(file.url, path, sha256=file.sha256, report=report)
    elif fault := published_fault(path, file.sha256):
        raise DataError(f"{path}: not the published file ({fault}); delete it, then run this again")


@contextmanager
def _shown(label: str) -> Iterator[Report]:
    """A bar of megabytes, from the first block on, which says how many there are."""
    with ExitStack() as stack:
        advance, shown = None, 0

        def report(done: int, total: int | None) -> None:
            nonlocal advance, shown
            if advance is None:
                advance = stack.enter_context(progress(-(-(total or done) // 10**6), label, "MB"))
            advance(done // 10**6 - shown)
            shown = done // 10**6

        yield report
