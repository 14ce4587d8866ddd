"""SWIG-HOI as a dataset: four classes, of which three count, in small files of the published form."""

import dataclasses
import json

import pytest
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.truth.datasets.catalog import open_reader, read_training_boxes
from pipeline.truth.ground_truth_file import read_ground_truth, write_ground_truth
from pipeline.truth.params import PrepareParams
from pipeline.truth.swig_classes import read_swig_classes

PARAMS = PrepareParams("swig_hoi", "swig")
CLASSES = '''# -*- coding: utf-8 -*-
"""Metadata."""
__all__ = ["SWIG_CATEGORIES"]
print("never run")
SWIG_CATEGORIES = [
    {"gloss": ["person"], "id": 0, "name": "person"},
    {"gloss": [], "id": 1, "name": "paper"},
    {"gloss": [], "id": 2, "name": "bat"},
    {"gloss": [], "id": 3, "name": "bat"},
    {"gloss": [], "id": 4, "name": "vacuum cleaner"},
]
SWIG_ACTIONS = [{"id": 0, "name": "folding"}, {"id": 1, "name": "swinging"}, {"id": 2, "name": "talking"}]
SWIG_INTERACTIONS = [
    {"id": 0, "action_id": 1, "object_id": 3, "frequency": 0, "evaluation": 1},
    {"id": 1, "action_id": 0, "object_id": 2, "frequency": 2, "evaluation": 0},
    {"id": 2, "action_id": 0, "object_id": 1, "frequency": 2, "evaluation": 1},
    {"id": 3, "action_id": 1, "object_id": 4, "frequency": 1, "evaluation": 1},
]
'''
BOXES = [
    {"bbox": [0, 0, 10, 30], "category_id": 0, "aux_category_id": []},
    {"bbox": [5, 5, 45, 20], "category_id": 1, "aux_category_id": [3]},  # 5 pixels beyond the image
    {"bbox": [5, 5, 15, 20], "category_id": 2, "aux_category_id": []},
    {"bbox": [1, 2, 3, 4], "category_id": 4, "aux_category_id": []},
]
FOLD, FOLD_BAT, SWING = (
    {"subject_id": 0, "object_id": thing, "action_id": action} for thing, action in ((1, 0), (2, 0), (3, 1))
)
SPLITS = {"train": [[FOLD, FOLD_BAT], []], "dev": [[SWING]], "test": [[FOLD, SWING]]}
PAPER = [5, 5, 40, 20]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "swig"
    for name in ("images_512", "annotations"):
        (folder / name).mkdir(parents=True)
    (folder / "swig_v1_categories.py").write_text(CLASSES)
    entries = {}
    for split, images in SPLITS.items():
        entries[split] = []
        for row, pairs in enumerate(images):
            name = f"{split}ing_{row}.jpg"
            Image.new("RGB", (40, 30)).save(folder / "images_512" / name)
            entry = {"file_name": name, "img_id": row, "width": 40, "height": 30}
            entries[split].append(entry | {"box_annotations": BOXES, "hoi_annotations": pairs})
    entries["trainval"] = entries["train"] + entries["dev"]
    for split, images in entries.items():
        (folder / f"annotations/swig_{split}_1000.json").write_text(json.dumps(images))
    return folder


def prepared(source, **params):
    params = dataclasses.replace(PARAMS, **params)
    reader, _ = open_reader(params, dataset="swig_hoi", root=source.parent)
    drawn = source.parent / "drawn"
    drawn.mkdir(exist_ok=True)
    return reader, {split.manifest.split: split for split in reader.read(drawn, lambda: None)}


def test_evaluated_classes_and_their_groups(source, tmp_path):
    reader, splits = prepared(source)
    vocabulary = reader.vocabulary
    assert vocabulary.hoi_names == ["swinging bat_3", "folding paper", "swinging vacuum_cleaner"]
    assert vocabulary.objects == ("person", "paper", "bat_3", "vacuum_cleaner")
    assert {name: len(split.manifest) for name, split in splits.items()} == {"train": 2, "val": 1, "test": 1}
    assert splits["train"].annotated is None
    assert [labels.hoi_ids.tolist() for labels in splits["train"].manifest.labels] == [[1], []]
    assert splits["test"].manifest.image_root == "swig/images_512"
    assert reader.notes == [f"{source}: 1 pairs of classes that do not count are left out"]

    test = splits["test"]
    write_ground_truth(tmp_path / "test.json", test.annotated, test.manifest)
    annotated = read_ground_truth(tmp_path / "test.json", test.manifest, 3)
    assert annotated.truth.hoi_id.tolist() == [1, 2]
    assert annotated.truth.object_boxes.tolist() == [PAPER, [1, 2, 3, 4]]  # cut to the image
    assert annotated.train_instances.tolist() == [0, 1, 0]
    groups = {name: annotated.groups[name].tolist() for name in annotated.groups}
    assert groups == {
        "full": [True, True, True],
        "common": [False, True, False],
        "rare": [False, False, True],
        "unseen": [True, False, False],
    }


@pytest.mark.parametrize(("val_fraction", "counts"), [(None, [2, 1, 1]), (0.34, [2, 1, 1]), (0.0, [3, 0, 1])])
def test_splits_and_training_boxes(source, val_fraction, counts):
    reader, splits = prepared(source, val_fraction=val_fraction)
    assert [len(splits[name].manifest) for name in ("train", "val", "test")] == counts
    manifest = splits["train"].manifest
    truth = read_training_boxes(reader, PARAMS, manifest, reader.vocabulary)
    shown = [labels.hoi_ids.tolist() for labels in manifest.labels]
    assert [sorted(truth.hoi_id[truth.image_index == row].tolist()) for row in range(len(manifest))] == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SWIG_CATEGORIES = [", "cannot be read as lists of classes"),
        ("SWIG_CATEGORIES = open('x')", "cannot be read as lists of classes"),
        ("X = 1", "no list SWIG_CATEGORIES of entries with id, name"),
        (CLASSES.replace('"object_id": 4', '"object_id": 9'), "categories that are not listed"),
    ],
)
def test_lists_of_another_form(tmp_path, text, expected):
    path = tmp_path / "swig_v1_categories.py"
    path.write_text(text)
    with pytest.raises(DataError, match=expected):
        read_swig_classes(path)


def test_missing_parts_say_where_they_come_from(source):
    for path, expected in (
        (source / "annotations/swig_test_1000.json", r"swig_test_1000.json: does not exist; .*promting_hoi"),
        (source / "swig_v1_categories.py", r"swig_v1_categories.py: does not exist"),
    ):
        path.unlink()
        with pytest.raises(DataError, match=expected):
            prepared(source)
    (source / "images_512").rename(source / "pictures")
    with pytest.raises(DataError, match=r"images_512: folder does not exist; download SWIG-HOI"):
        prepared(source)
