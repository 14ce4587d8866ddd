"""Labels of a split's proposed pairs in HDF5: offsets, labels and image_id.

They come from annotated boxes, and only training with boxes reads them (`train.supervision`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.arrays import Form
from pipeline.core.errors import DataError
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.hdf5_file import encode_strings, open_hdf5, read_columns, read_texts, write_hdf5
from pipeline.store.proposals_file import SplitProposals, StoredProposals
from pipeline.store.ragged import check_made_for, reading, row_owner

_ROWS_PER_CHUNK = 8192
_FORMS = {"offsets": Form(np.int64, ("I + 1",), cuts="L"), "labels": Form(np.int64, ("L", 3))}
_REMEDY = 'run "dvc repro label_pairs"'


@dataclass(frozen=True)
class SplitPairLabels:
    """Labels of a split: offsets int64 [I + 1] cut labels int64 [L, 3] by image.

    A label is a row (human proposal, object proposal, HOI id); proposals count from the first one of the image.
    """

    image_ids: Sequence[str]
    offsets: IntArray
    labels: IntArray

    def __len__(self) -> int:
        return len(self.image_ids)

    def image(self, index: int, rows: IntArray) -> IntArray:
        """Return the labels of one image among some of its proposals, int64 [L, 3], which count from the first of them.

        Args:
            rows: int64, ascending, of the image's proposals.
        """
        labels = self.labels[self.offsets[index] : self.offsets[index + 1]]
        kept = labels[np.isin(labels[:, :2], rows).all(1)]
        return np.concatenate([np.searchsorted(rows, kept[:, :2]), kept[:, 2:]], 1)


def write_pair_labels(path: Path, split: SplitPairLabels) -> None:
    """Write the labels of a split atomically."""
    columns = {"offsets": split.offsets, "labels": split.labels, "image_id": encode_strings(split.image_ids)}
    write_hdf5(path, columns, attributes={}, chunk_rows=_ROWS_PER_CHUNK)


def read_pair_labels(
    path: Path, proposals: SplitProposals | StoredProposals, vocabulary: Vocabulary
) -> SplitPairLabels:
    """Read the labels of a split, and check them against the proposals whose rows they name.

    Raises:
        ArtifactError: missing or damaged; of other images, or of other proposals: a row that is not there, or of
            another category than its class has.
    """
    with reading(path, "not a file of pair labels", _REMEDY), open_hdf5(path) as file:
        found_ids = read_texts(file, "image_id")
        split = SplitPairLabels(found_ids, **read_columns(file, _FORMS, len(found_ids)))
    check_made_for(path, "images", split.image_ids, proposals.image_ids, _REMEDY)
    with reading(path, "made from other proposals", _REMEDY):
        _check_rows(split, proposals, vocabulary)
    return split


def _check_rows(split: SplitPairLabels, proposals: SplitProposals | StoredProposals, vocabulary: Vocabulary) -> None:
    """Refuse labels that are not of a human and an object of the class."""
    image = row_owner(split.offsets)
    human, partner, hoi_id = split.labels.T
    limits = np.stack([np.diff(proposals.offsets)[image]] * 2 + [np.full(len(image), vocabulary.num_hois)], 1)
    wrong = ((split.labels < 0) | (split.labels >= limits)).any(1)
    if not wrong.any():
        first, category = proposals.offsets[image], proposals.object_ids
        wrong = category[first + human] != vocabulary.human_object_id
        wrong |= category[first + partner] != vocabulary.hoi_object_ids[hoi_id]
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f'label {split.labels[row].tolist()} of image "{split.image_ids[image[row]]}" is of no human and object '
            "that were proposed there"
        )
