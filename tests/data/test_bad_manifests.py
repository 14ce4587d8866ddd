"""Manifests that something is wrong with (tests/bad_manifests.py), and ground truth: refused, the file named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError, DataError, UserError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.data.split import SplitManifest, read_split, write_split
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.ground_truth_file import AnnotatedSplit, read_ground_truth, write_ground_truth
from tests.bad_manifests import BAD, NOT_MANIFESTS

RECORDS = tuple(ImageRecord(name, f"{name}.png", 8, 6, "0" * 64) for name in ("a", "b", "c"))
LABELS = tuple(ImageLabels(name, np.array(ids)) for name, ids in (("a", [1, 3]), ("b", [0]), ("c", [2])))
MANIFEST = SplitManifest("tiny", "train", "images", RECORDS, LABELS)


def rewritten(path, damage) -> None:
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_split_manifest_is_refused(tmp_path, vocabulary, name):
    damage, expected = BAD[name]
    path = tmp_path / "train.json"
    write_split(path, MANIFEST)
    assert read_split(path, vocabulary).images == RECORDS
    rewritten(path, damage)
    with pytest.raises((ArtifactError, DataError)) as caught:
        read_split(path, vocabulary)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert message.endswith('run "dvc repro prepare"')
    assert message.isascii()
    assert len(message) < 400


@pytest.mark.parametrize("name", NOT_MANIFESTS)
def test_what_is_no_manifest_is_refused(tmp_path, vocabulary, name):
    path = tmp_path / "train.json"
    path.write_text(NOT_MANIFESTS[name])
    with pytest.raises(ArtifactError, match=r'train\.json: not .*run "dvc repro prepare"'):
        read_split(path, vocabulary)


def test_a_folder_in_place_of_a_manifest(tmp_path, vocabulary):
    (tmp_path / "train.json").mkdir()
    with pytest.raises(UserError, match=r"train.json: cannot be read \(Is a directory\)"):
        read_split(tmp_path / "train.json", vocabulary)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("image_index", [0, 3], "image_index 3 is out of range for 3 images"),
        ("image_index", [0, -1], "image_index -1 is out of range"),
        ("image_index", [0, 10**12], "not a ground-truth file"),
        ("image_index", [0], "hoi_id is int16 [2]; expected signedinteger [G = 1]"),
        ("hoi_id", [0, 4], "HOI id 4, expected 0 to 3"),
        ("hoi_id", [0, -1], "HOI id -1, expected 0 to 3"),
        ("hoi_id", [0, 99_999], "not a ground-truth file"),
        ("human_boxes", [[0, 0, 1, 1], [0, 0, float("nan"), 1]], 'human box of pair 1, image "c" of'),
        ("object_boxes", [[0, 0, 1, 1], [0, 0, 1]], "not a ground-truth file"),
        ("object_boxes", [[0, 0, float("inf"), 1]] * 2, 'object box of pair 0, image "a" of'),
        ("train_instances", [1, 2], "counts 2 HOI classes, the vocabulary has 4"),
        ("image_ids", ["a", "b"], "annotates 2 images that are not the 3"),
        ("image_ids", ["a", "c", "b"], "annotates 3 images that are not the 3"),
    ],
)
def test_bad_ground_truth_is_refused(tmp_path, column, value, expected):
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], np.float32)
    truth = GroundTruth(np.array([0, 2], np.int32), np.array([0, 3], np.int16), boxes, boxes, num_images=3)
    path = tmp_path / "test.json"
    write_ground_truth(path, AnnotatedSplit(truth, np.array([3, 1, 1, 4])), MANIFEST)
    assert len(read_ground_truth(path, MANIFEST, 4).truth) == 2
    rewritten(path, lambda document: document.update({column: value}))
    with pytest.raises(ArtifactError) as caught:
        read_ground_truth(path, MANIFEST, 4)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
