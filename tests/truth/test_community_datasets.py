"""HICO-DET and V-COCO in the community's form: hand-worked, and the real annotations written into it and read back."""

import json

import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.truth.hicodet_annotations import read_hicodet_json
from pipeline.truth.hicodet_community import official_classes, read_hicodet_community
from pipeline.truth.vcoco_pairs import read_vcoco_community, read_vcoco_pairs
from tests.truth.community_files import hicodet_as_community, vcoco_as_community
from tests.truth.real_ground_truth import real_ground_truth

PPDM = {
    "file_name": "HICO_test2015_00000001.jpg",
    "annotations": [{"bbox": [10, 10, 100, 200], "category_id": 1}, {"bbox": [50, 60, 150, 220], "category_id": 2}],
    "hoi_annotation": [{"subject_id": 0, "object_id": 1, "category_id": 77, "hoi_category_id": 19}],
}
BOXES = ("human_boxes", "object_boxes")


def write(path, data):
    path.write_text(json.dumps(data))
    return path


def test_a_pair_of_hicodet(tmp_path):
    rows = [
        *PPDM["hoi_annotation"],
        {"subject_id": 0, "object_id": 1, "category_id": "1\n"},  # adjust a bicycle: no class
        {"subject_id": 0, "object_id": 2, "category_id": 77},
    ]
    images, left_out = read_hicodet_community(write(tmp_path / "f.json", [PPDM | {"hoi_annotation": rows}]))
    assert left_out == 2
    assert images.truth.hoi_id.tolist() == [18]  # hoi_category_id counts from 1
    assert images.vocabulary.hoi_name(18) == "ride bicycle"
    assert images.truth.human_boxes.tolist() == [[9, 9, 100, 200]]  # 1-based inclusive pixels
    assert images.truth.object_boxes.tolist() == [[49, 59, 150, 220]]
    assert images.image_ids == ("HICO_test2015_00000001",)


@pytest.mark.parametrize(
    ("key", "row", "expected"),
    [
        (
            "hoi_annotation",
            {"subject_id": 0, "object_id": 1, "category_id": 0},
            "verb id 0 is unknown; expected 1..117",
        ),
        ("annotations", {"bbox": [1, 1, 5, 5], "category_id": 12}, "category_id: label 12 is none of the 80"),
    ],
)
def test_ids_that_hicodet_does_not_have(tmp_path, key, row, expected):
    with pytest.raises(DataError, match=expected):
        read_hicodet_community(write(tmp_path / "f.json", [PPDM | {key: [row] * 2}]))


def test_real_hicodet(tmp_path):
    path = real_ground_truth("hicodet", "instances_test2015.json")
    expected = read_hicodet_json(path)
    form = hicodet_as_community(json.loads(path.read_text()))
    images, left_out = read_hicodet_community(write(tmp_path / "test_hico.json", form))
    assert left_out == 0
    assert images.vocabulary == expected.vocabulary
    assert images.filenames == expected.filenames
    for name in ("image_index", "hoi_id", *BOXES):
        np.testing.assert_array_equal(getattr(images.truth, name), getattr(expected.truth, name))
    assert official_classes()[1].tolist() == expected.rare.tolist()


def test_real_vcoco(tmp_path):
    expected, files = {}, {}
    for split in ("train", "val"):
        path = real_ground_truth("vcoco", f"instances_vcoco_{split}.json")
        expected[split] = read_vcoco_pairs(path)
        form = vcoco_as_community(json.loads(path.read_text()))
        files[split] = write(tmp_path / f"{split}_vcoco.json", form)
    splits, left_out = read_vcoco_community(files)
    assert left_out == 0
    for split, images in splits.items():
        assert images.filenames == expected[split].filenames
        for name in ("image_index", *BOXES):
            np.testing.assert_array_equal(getattr(images.truth, name), getattr(expected[split].truth, name))
        assert names(images) == names(expected[split])
    classes = splits["val"].vocabulary
    assert (classes.num_verbs, classes.num_objects) == (24, 80)
    occurring = {name for images in expected.values() for name in names(images)}
    assert set(classes.hoi_names) == occurring  # of all splits, and no other


def names(images):
    return [images.vocabulary.hoi_name(row) for row in images.truth.hoi_id.tolist()]
