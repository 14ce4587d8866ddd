import json

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.data.split import SplitManifest
from pipeline.truth.ground_truth_file import AnnotatedSplit, read_ground_truth, write_ground_truth
from tests.evaluation.worlds import ground_truth

TRUTH = ground_truth([(0, 2, (0, 0, 5, 5), (1, 1, 3.5, 4)), (2, 0, (0, 1, 5, 5), (1, 1, 3, 4))], 3)
INSTANCES = np.array([9, 10, 11])


def manifest(ids=("a", "b", "c")):
    records = tuple(ImageRecord(name, f"{name}.jpg", 64, 48, "0" * 64) for name in ids)
    labels = tuple(ImageLabels(name, np.array([row % 3])) for row, name in enumerate(ids))
    return SplitManifest("hicodet", "test", "images", records, labels)


@pytest.mark.parametrize(
    ("listed", "rare"),
    [
        (None, [True, False, False]),  # fewer than ten training instances
        (np.array([False, True, False]), [False, True, False]),  # the dataset's own list goes first
    ],
)
def test_round_trip(tmp_path, listed, rare):
    write_ground_truth(tmp_path / "t.json", AnnotatedSplit(TRUTH, INSTANCES, listed), manifest())
    found = read_ground_truth(tmp_path / "t.json", manifest(), 3)
    for name in ("image_index", "hoi_id", "human_boxes", "object_boxes"):
        np.testing.assert_array_equal(getattr(found.truth, name), getattr(TRUTH, name))
    assert found.truth.num_images == 3
    assert found.truth.image_hois.mask().tolist() == np.eye(3, dtype=bool).tolist()  # the manifest's labels
    assert found.train_instances.tolist() == INSTANCES.tolist()
    assert found.rare.tolist() == AnnotatedSplit(TRUTH, INSTANCES, listed).rare.tolist() == rare


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "t.json"
    write_ground_truth(path, AnnotatedSplit(TRUTH, INSTANCES), manifest())
    with pytest.raises(ArtifactError, match="annotates 3 images that are not the 2 of the test manifest"):
        read_ground_truth(path, manifest(("a", "b")), 3)
    with pytest.raises(ArtifactError, match="counts 3 HOI classes, the vocabulary has 4"):
        read_ground_truth(path, manifest(), 4)
    path.write_text(json.dumps({"image_ids": ["a", "b", "c"]}))
    with pytest.raises(ArtifactError, match=r"not a ground-truth file .KeyError"):
        read_ground_truth(path, manifest(), 3)
