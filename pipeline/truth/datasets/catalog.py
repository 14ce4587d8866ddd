"""Dataset readers by name: every file here that defines `READER`, or a module of yours by its dotted name."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.plugins import load_plugin, outside_files
from pipeline.truth import datasets
from pipeline.truth.datasets.base import DatasetReader
from pipeline.truth.params import PrepareParams


def open_reader(params: PrepareParams, *, dataset: str, root: Path) -> tuple[DatasetReader, list[Path]]:
    """Return the reader that `prepare.reader` names, and its inputs: annotation files, and its own file if outside.

    Raises:
        ParamError: there is none of that name.
    """
    reader: type[DatasetReader] = load_plugin(datasets, params.reader, "READER", f"{dataset}.prepare.reader")
    opened = reader(params, dataset=dataset, root=root)
    return opened, [*opened.inputs, *outside_files(params.reader)]
