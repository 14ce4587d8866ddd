"""Image-level labels of the training split that nobody annotated, in HDF5: offsets, hoi_ids, confidence and image_id.

The attribute `source` says what made them: captions, or CLIP. Annotated labels are in the split's manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Form
from pipeline.core.errors import DataError
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import FloatArray, IntArray
from pipeline.store.hdf5_file import encode_strings, open_hdf5, read_columns, read_text, read_texts, write_hdf5
from pipeline.store.ragged import check_made_for, offsets_of, reading

_ROWS_PER_CHUNK = 8192
_FORMS = {
    "offsets": Form(np.int64, ("I + 1",), cuts="L"),
    "hoi_ids": Form(np.int64, ("L",)),
    "confidence": Form(np.float32, ("L",)),
}
COMMANDS = {"captions": "label-captions", "clip": "label"}  # that make the file, by source


@dataclass(frozen=True)
class SplitLabels:
    """Labels of a split: offsets int64 [I + 1] cut hoi_ids int64 [L], ascending, and confidence float32 [L], 0..1."""

    source: str
    image_ids: Sequence[str]
    offsets: IntArray
    hoi_ids: IntArray
    confidence: FloatArray

    @classmethod
    def of(cls, source: str, image_ids: Sequence[str], confidence: FloatArray) -> SplitLabels:
        """Labels where the confidence [I, H] is not 0."""
        image, hoi_ids = np.nonzero(confidence)
        offsets = offsets_of(np.bincount(image, minlength=len(image_ids)))
        return cls(source, image_ids, offsets, hoi_ids, confidence[image, hoi_ids].astype(np.float32))

    def rows(self, num_hois: int) -> LabelRows:
        """The labels without their confidence."""
        return LabelRows(self.offsets, self.hoi_ids, num_hois)


def write_image_labels(path: Path, labels: SplitLabels) -> None:
    """Write the labels of a split atomically."""
    columns: dict[str, NDArray[Any]] = {
        "offsets": labels.offsets,
        "hoi_ids": labels.hoi_ids,
        "confidence": labels.confidence,
        "image_id": encode_strings(labels.image_ids),
    }
    write_hdf5(path, columns, attributes={"source": labels.source}, chunk_rows=_ROWS_PER_CHUNK)


def read_image_labels(path: Path, source: str, image_ids: Sequence[str], num_hois: int) -> SplitLabels:
    """Read the labels of a split from one source.

    Raises:
        ArtifactError: missing or damaged; of another source, other images or other classes.
    """
    remedy = f'run "weakhoi {COMMANDS[source]}"'
    with reading(path, "not a file of image-level labels", remedy), open_hdf5(path) as file:
        found_ids = read_texts(file, "image_id")
        labels = SplitLabels(read_text(file, "source"), found_ids, **read_columns(file, _FORMS, len(found_ids)))
        if len(labels.hoi_ids) and not 0 <= labels.hoi_ids.min() <= labels.hoi_ids.max() < num_hois:
            raise DataError(f"HOI ids {labels.hoi_ids.min()} to {labels.hoi_ids.max()}, expected 0 to {num_hois - 1}")
    check_made_for(path, "source", labels.source, source, remedy)
    check_made_for(path, "images", labels.image_ids, image_ids, remedy)
    return labels
