"""Which reader belongs to which dataset."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import ParamError
from pipeline.core.layout import Layout
from pipeline.core.params import PrepareParams
from pipeline.data.reader import DatasetReader
from pipeline.toyworld.reader import ToyworldReader


def open_reader(dataset: str, params: PrepareParams, root: Path) -> DatasetReader:
    """Return the reader that `prepare.reader` names."""
    if params.reader == "toyworld":
        images = Layout(Path(), dataset).drawn_images
        return ToyworldReader(params, image_root=images.as_posix())
    raise ParamError(f'prepare.reader: "{params.reader}" is not available in this version')
