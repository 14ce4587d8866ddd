import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.pair_labels_file import SplitPairLabels, read_pair_labels, write_pair_labels
from pipeline.store.proposals_file import SplitProposals
from tests.store.records import assert_equal

OFFSETS, LABELS = [0, 2, 2, 3], [[0, 1, 0], [0, 3, 2], [1, 0, 3]]  # persons are 0 and 1 of image c


@pytest.fixture
def proposals(vocabulary) -> SplitProposals:
    """Categories 0 person, 1 bicycle, 2 cup; image b has a person alone."""
    object_ids = np.array([0, 1, 0, 2, 0, 2, 0])
    boxes = np.tile(np.array([0, 0, 5, 5], np.float32), (7, 1))
    scores = np.full(7, 0.5, np.float32)
    return SplitProposals(("a", "b", "c"), vocabulary.objects, "x", np.array([0, 4, 5, 7]), boxes, scores, object_ids)


def written(path, offsets=OFFSETS, labels=LABELS, image_ids=("a", "b", "c")):
    split = SplitPairLabels(image_ids, np.array(offsets), np.array(labels, np.int64).reshape(-1, 3))
    write_pair_labels(path, split)
    return split


def test_round_trip(tmp_path, proposals, vocabulary):
    split = written(tmp_path / "x.h5")
    assert_equal(read_pair_labels(tmp_path / "x.h5", proposals, vocabulary), split)
    assert [split.image(index, np.arange(100)).tolist() for index in range(3)] == [LABELS[:2], [], LABELS[2:]]
    assert split.image(0, np.arange(2)).tolist() == LABELS[:1]  # the third and the fourth proposal are left out


def test_nothing_labeled(tmp_path, proposals, vocabulary):
    split = written(tmp_path / "x.h5", [0, 0, 0, 0], [])
    assert_equal(read_pair_labels(tmp_path / "x.h5", proposals, vocabulary), split)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"image_ids": ("a", "b", "d")}, 'images row 2 is "d", expected "c"'),
        ({"labels": [[0, 1, 0], [0, 4, 2], [1, 0, 3]]}, r'label \[0, 4, 2\] of image "a" is of no human and object'),
        ({"labels": [[1, 0, 0], [0, 3, 2], [1, 0, 3]]}, r"label \[1, 0, 0\]"),  # a bicycle rides a person
        ({"labels": [[0, 1, 2], [0, 3, 2], [1, 0, 3]]}, r"label \[0, 1, 2\]"),  # a bicycle is no cup
        ({"labels": [[0, 1, 0], [0, 3, 2], [1, 0, 4]]}, r"label \[1, 0, 4\] of image \"c\""),
        ({"labels": [[0, -1, 0], [0, 3, 2], [1, 0, 3]]}, r"label \[0, -1, 0\]"),
        ({"offsets": [0, 2, 1, 3]}, "damaged or not a file of pair labels"),
    ],
)
def test_labels_of_other_images_or_proposals_are_refused(tmp_path, proposals, vocabulary, changes, part):
    written(tmp_path / "x.h5", **changes)
    with pytest.raises(ArtifactError, match=part) as caught:
        read_pair_labels(tmp_path / "x.h5", proposals, vocabulary)
    assert 'run "dvc repro label_pairs"' in str(caught.value)


def test_a_missing_file_says_what_makes_it(tmp_path, proposals, vocabulary):
    with pytest.raises(ArtifactError, match=r'does not exist; run "dvc repro label_pairs"'):
        read_pair_labels(tmp_path / "x.h5", proposals, vocabulary)
