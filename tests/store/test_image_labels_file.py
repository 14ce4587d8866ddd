from __future__ import annotations

import h5py
import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.image_labels_file import SplitLabels, read_image_labels, write_image_labels

NAMES = ("b", "a", "ä")
CONFIDENCE = np.array([[0, 0.5, 1], [0, 0, 0], [0.25, 0, 0]], np.float32)
LABELS = SplitLabels.of("clip", NAMES, CONFIDENCE)


def test_labels_are_where_the_confidence_is(tmp_path):
    assert LABELS.offsets.tolist() == [0, 2, 2, 3] and LABELS.hoi_ids.tolist() == [1, 2, 0]
    path = tmp_path / "clip.h5"
    write_image_labels(path, LABELS)
    found = read_image_labels(path, "clip", NAMES, 3)
    assert found.image_ids == NAMES and found.source == "clip"
    assert (found.rows(3).mask() == (CONFIDENCE > 0)).all()
    assert found.confidence.tolist() == [0.5, 1, 0.25]
    write_image_labels(tmp_path / "again.h5", LABELS)
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("captions", NAMES, 3), 'source .*run "weakhoi label-captions"'),
        (("clip", NAMES[:2], 3), r'has 3 images, expected 2.*run "weakhoi label"'),
        (("clip", NAMES, 2), 'HOI ids 0 to 2, expected 0 to 1.*run "weakhoi label"'),
    ],
)
def test_labels_of_something_else_are_refused(tmp_path, arguments, message):
    write_image_labels(tmp_path / "clip.h5", LABELS)
    with pytest.raises(ArtifactError, match=message):
        read_image_labels(tmp_path / "clip.h5", *arguments)


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r'clip\.h5.*run "weakhoi label"'):
        read_image_labels(tmp_path / "clip.h5", "clip", NAMES, 3)
    with h5py.File(tmp_path / "clip.h5", "w") as file:
        file["offsets"] = np.array([0, 1])
    with pytest.raises(ArtifactError, match="not a file of image-level labels"):
        read_image_labels(tmp_path / "clip.h5", "clip", NAMES, 3)
