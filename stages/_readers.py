"""Which reader belongs to which dataset, and where its files are."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.core.errors import ParamError
from pipeline.toyworld.reader import ToyworldReader
from pipeline.truth.datasets.base import DatasetReader
from pipeline.truth.datasets.folder import FolderReader
from pipeline.truth.datasets.hicodet import HicoDetReader
from pipeline.truth.datasets.vcoco import VCocoReader
from pipeline.truth.params import PrepareParams


def open_reader(dataset: str, params: PrepareParams, root: Path) -> DatasetReader:
    """Return the reader that `prepare.reader` names."""
    if params.reader == "toyworld":
        images = Layout(Path(), dataset).drawn_images
        return ToyworldReader(params, image_root=images.as_posix())
    if params.source is None:
        raise ParamError(f"{dataset}.prepare.source is null; expected the folder that holds the dataset")
    if params.reader == "folder":
        recorded = recorded_source(params.source, root)
        return FolderReader(params, dataset=dataset, source=root / recorded, recorded_source=recorded)
    reader = HicoDetReader if params.reader == "hicodet" else VCocoReader
    recorded = recorded_source(params.source, root)
    return reader(params, source=root / recorded, recorded_source=recorded)


def recorded_source(source: str, root: Path) -> str:
    """The folder as manifests spell it: relative to the root where it lies inside, else absolute."""
    spelled = Path(os.path.normpath(source))
    if spelled.is_absolute() or ".." in spelled.parts:
        return (root / source).resolve().as_posix()
    return spelled.as_posix()
