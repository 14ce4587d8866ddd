import json

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.data.split import SplitManifest, read_split, write_split


def manifest_of(paths=("a.png", "sub/b.png"), ids=("a", "b"), label_ids=None) -> SplitManifest:
    records = tuple(ImageRecord(name, path, 8, 6, "0" * 64) for name, path in zip(ids, paths, strict=True))
    hois = [np.array([1, 3]), np.zeros(0, np.int64)]
    labels = tuple(ImageLabels(name, hoi_ids) for name, hoi_ids in zip(label_ids or ids, hois, strict=True))
    return SplitManifest("tiny", "train", "images", records, labels)


def test_round_trip_one_image_without_a_label(tmp_path, vocabulary):
    manifest = manifest_of()
    write_split(tmp_path / "train.json", manifest)
    found = read_split(tmp_path / "train.json", vocabulary)
    assert found.images == manifest.images
    assert found.label_matrix(4).tolist() == [[0, 1, 0, 1], [0, 0, 0, 0]]
    assert found.image_ids == ("a", "b")
    assert found.image_path(1, tmp_path) == tmp_path / "images" / "sub" / "b.png"


def test_the_file_holds_no_box(tmp_path):
    write_split(tmp_path / "train.json", manifest_of())
    data = json.loads((tmp_path / "train.json").read_text())
    assert data.keys() == {"dataset", "split", "image_root", "images"}
    assert all(row.keys() == {"image_id", "path", "width", "height", "sha256", "hoi_ids"} for row in data["images"])


def test_an_image_id_occurs_once():
    with pytest.raises(DataError, match='image id "a" occurs twice'):
        manifest_of(ids=("a", "a"))


@pytest.mark.parametrize("path", ["../secret.png", "sub/../../secret.png", "/etc/secret.png"])
def test_paths_stay_under_the_image_root(path):
    with pytest.raises(DataError, match="leaves the image root"):
        manifest_of(paths=("a.png", path))


def test_labels_belong_to_their_image():
    with pytest.raises(DataError, match='labels of "b" at "a"'):
        manifest_of(label_ids=("b", "a"))


def test_truncated_files_are_refused_at_any_length(tmp_path, vocabulary):
    path = tmp_path / "train.json"
    write_split(path, manifest_of())
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 11):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"not JSON .*; run"):
            read_split(path, vocabulary)
