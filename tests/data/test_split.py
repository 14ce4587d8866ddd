"""Split manifests and ground truth: what is written is read; what is wrong (tests/bad_manifests.py) is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError, DataError, UserError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.data.split import SplitManifest, read_split, write_split
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.ground_truth_file import AnnotatedSplit, read_ground_truth, write_ground_truth
from tests.bad_manifests import BAD, NOT_MANIFESTS

RECORDS = tuple(ImageRecord(name, f"sub/{name}.png", 8, 6, "0" * 64) for name in ("a", "b", "c"))
LABELS = tuple(ImageLabels(name, np.array(ids, np.int64)) for name, ids in (("a", [1, 3]), ("b", [0]), ("c", [])))
MANIFEST = SplitManifest("tiny", "train", "images", RECORDS, LABELS)


@pytest.fixture
def path(tmp_path):
    write_split(tmp_path / "train.json", MANIFEST)
    return tmp_path / "train.json"


def test_round_trip_one_image_without_a_label(path, tmp_path, vocabulary):
    found = read_split(path, vocabulary)
    assert found.images == RECORDS
    assert found.label_rows(4).mask().tolist() == [[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert found.image_ids == ("a", "b", "c")
    assert found.image_path(1, tmp_path) == tmp_path / "images" / "sub" / "b.png"


def test_the_file_holds_no_box(path):
    data = json.loads(path.read_text())
    assert data.keys() == {"dataset", "split", "image_root", "images"}
    assert all(row.keys() == {"image_id", "path", "width", "height", "sha256", "hoi_ids"} for row in data["images"])


def test_where_labels_come_from_stands_in_the_file_where_nobody_annotated_them(path, tmp_path, vocabulary):
    assert read_split(path, vocabulary).label_source == "annotated"
    write_split(path, replace(MANIFEST, label_source="captions"))
    assert json.loads(path.read_text())["label_source"] == "captions"
    assert read_split(path, vocabulary).label_source == "captions"
    rewritten(path, lambda document: document.update(label_source="boxes"))
    with pytest.raises(DataError, match="label_source is 'boxes'; expected one of annotated, captions, clip"):
        read_split(path, vocabulary)


def test_labels_belong_to_their_image():
    with pytest.raises(DataError, match='labels of "b" at "a"'):
        replace(MANIFEST, labels=LABELS[1::-1] + LABELS[2:])


def test_truncated_files_are_refused_at_any_length(path, vocabulary):
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 11):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"not JSON .*; run"):
            read_split(path, vocabulary)


def rewritten(path, damage) -> None:
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_split_manifest_is_refused(path, vocabulary, name):
    damage, expected = BAD[name]
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
def test_what_is_no_manifest_is_refused(path, vocabulary, name):
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
