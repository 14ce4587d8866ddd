"""A large split is kept in columns: what is read is what a JSON manifest holds, and ranges equal the whole."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.layout import Layout
from pipeline.core import texts
from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest, read_split, write_split
from pipeline.store.dump import open_dump, write_dump
from pipeline.store.proposals_file import StoredProposals, open_proposals, read_proposals, write_proposals
from pipeline.store.vocabulary_file import read_vocabulary
from tests.store.records import assert_equal, make_dump, make_proposals

COUNT = 9
RECORDS = tuple(ImageRecord(f"ä{row}", f"sub/{row:0{row + 1}}.png", 8 + row, 6, f"{row:064x}") for row in range(COUNT))
LABELS = tuple(ImageLabels(record.image_id, np.arange(row % 4)) for row, record in enumerate(RECORDS))
MANIFEST = SplitManifest("tiny", "train", "images", RECORDS, LABELS, upright=True)


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(texts, "MANY", 2)


@pytest.fixture
def path(tmp_path):
    assert write_split(tmp_path / "train.json", MANIFEST) == [tmp_path / "train.json", tmp_path / "train.h5"]
    return tmp_path / "train.json"


def test_git_shows_the_size_and_the_digest(path):
    found = json.loads(path.read_text())
    assert len(found.pop("columns")) == 64
    assert found == {
        "dataset": "tiny",
        "split": "train",
        "image_root": "images",
        "upright": True,
        "images": COUNT,
        "labels": 12,
    }


def test_columns_say_what_json_says(path, tmp_path, vocabulary, monkeypatch):
    found = read_split(path, vocabulary)
    monkeypatch.setattr(texts, "MANY", COUNT)
    write_split(tmp_path / "json" / "train.json", found)  # columns to JSON
    listed = read_split(tmp_path / "json" / "train.json", vocabulary)
    assert listed.images == RECORDS == tuple(found.images)
    for manifest in (listed, found):
        assert manifest.image_ids == MANIFEST.image_ids
        assert (manifest.image_sizes == MANIFEST.image_sizes).all()
        assert (manifest.label_rows(4).mask() == MANIFEST.label_rows(4).mask()).all()
        assert [labels.hoi_ids.tolist() for labels in manifest.labels] == [list(range(row % 4)) for row in range(COUNT)]
        assert (manifest.upright, manifest.split, len(manifest)) == (True, "train", COUNT)


def test_ranges_equal_the_whole(path, vocabulary):
    images = read_split(path, vocabulary).images
    assert [images[0], images[-1], images[COUNT - 1]] == [RECORDS[0], RECORDS[-1], RECORDS[-1]]
    for rows in (slice(2, 5), slice(3, 3), slice(None, None, 2), slice(5, 99)):
        assert images[rows] == RECORDS[rows]
    with pytest.raises(IndexError):
        images[COUNT]
    assert pickle.loads(pickle.dumps(images))[4] == RECORDS[4]  # a process of a loader that is not forked


def test_columns_of_another_prepare_are_refused(path, tmp_path, vocabulary):
    write_split(tmp_path / "other" / "train.json", dataclasses.replace(MANIFEST, images=RECORDS[:4], labels=LABELS[:4]))
    (tmp_path / "other" / "train.h5").replace(tmp_path / "train.h5")
    with pytest.raises(ArtifactError, match=r'train\.h5: sha256 .* the manifest says .*; run "dvc repro prepare"'):
        read_split(path, vocabulary)
    (tmp_path / "train.h5").unlink()
    with pytest.raises(ArtifactError, match=r'train\.h5 does not exist; run "dvc repro prepare"'):
        read_split(path, vocabulary)


def test_a_class_that_the_vocabulary_lacks_is_refused(path):
    few = Vocabulary(objects=("person", "cup"), verbs=("hold",), hoi_classes=((0, 1),), human="person")
    with pytest.raises(ArtifactError, match="HOI ids 0 to 2, expected 0 to 0"):
        read_split(path, few)


def test_a_path_out_of_the_image_root_is_refused_where_it_would_be_read(path, vocabulary, monkeypatch):
    monkeypatch.setattr("pipeline.data.split.leaves_root", lambda path: False)
    images = (*RECORDS[:3], dataclasses.replace(RECORDS[3], path="../../secret.png"))
    write_split(path, dataclasses.replace(MANIFEST, images=images, labels=LABELS[:4]))
    found = read_split(path, vocabulary).images
    assert found[2] == RECORDS[2]
    with pytest.raises(DataError, match=r"secret\.png"):
        found[3]


def test_proposals_by_ranges_equal_the_whole(tmp_path):
    whole = make_proposals()
    write_proposals(tmp_path / "x.h5", **vars(whole))
    stored = open_proposals(tmp_path / "x.h5", image_ids=whole.image_ids, objects=whole.objects)
    assert isinstance(stored, StoredProposals)
    assert_equal(read_proposals(tmp_path / "x.h5"), whole)
    assert stored.object_ids.tolist() == whole.object_ids.tolist()
    for index in range(len(whole)):
        assert_equal(stored.image(index, 7), whole.image(index, 7))
    with pytest.raises(ArtifactError, match=r'images row 1 is ".*", expected "other"'):
        read_proposals(tmp_path / "x.h5", image_ids=(whole.image_ids[0], "other", *whole.image_ids[2:]))


def test_ids_of_a_dump_are_read_by_ranges(tmp_path, vocabulary):
    dump = make_dump(vocabulary, [2, 0, 3, 1], [2, 0, 4, 1])
    write_dump(tmp_path / "x.zarr", **vars(dump))
    reader = open_dump(tmp_path / "x.zarr", image_ids=dump.image_ids)
    assert not isinstance(reader.image_ids, tuple)
    assert tuple(reader.image_ids) == dump.image_ids
    assert tuple(reader.read(1, 3).image_ids) == dump.image_ids[1:3]


def test_the_toyworld_in_columns_is_the_toyworld(tmp_path):
    layout = Layout(Path(__file__).parents[2], "toyworld")
    vocabulary = read_vocabulary(layout.vocabulary)
    listed = read_split(layout.split("train"), vocabulary)
    dense = np.zeros((len(listed), vocabulary.num_hois), bool)
    for row, labels in enumerate(listed.labels):
        dense[row, labels.hoi_ids] = True
    write_split(tmp_path / "train.json", listed)
    stored = read_split(tmp_path / "train.json", vocabulary)
    assert tuple(stored.images) == listed.images
    for manifest in (listed, stored):
        assert (manifest.label_rows(vocabulary.num_hois).mask() == dense).all()
