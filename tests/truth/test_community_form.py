import json

import pytest

from pipeline.core.errors import DataError
from pipeline.truth.community_form import SWIG_KEYS, read_community_form

IMAGE = {
    "file_name": "a.jpg",
    "annotations": [
        {"bbox": [31, 114, 638, 427], "category_id": 1},
        {"bbox": [28, 213, 636, 477], "category_id": "15\n"},
    ],
    "hoi_annotation": [{"subject_id": 0, "object_id": 1, "category_id": " 50\n", "hoi_category_id": 3}],
}


def read(tmp_path, data, *keys):
    (tmp_path / "f.json").write_text(json.dumps(data))
    return read_community_form(tmp_path / "f.json", *keys)


def test_ids_may_be_text_and_rows_without_a_box_make_no_pair(tmp_path):
    further = {
        "file_name": "b.jpg",
        "annotations": [{"bbox": [0, 0, 2.5, 3], "category_id": 1}],
        "hoi_annotation": [
            {"subject_id": 0, "object_id": -1, "category_id": 2},  # an action without object
            {"subject_id": 0, "object_id": 1, "category_id": 3},  # points past the list
            {"subject_id": -1, "object_id": 0, "category_id": 4},  # so does this: no box from the end
            {"subject_id": 0, "object_id": 0, "category_id": 5},
        ],
    }
    found = read(tmp_path, [IMAGE, further])
    assert found.filenames == ("a.jpg", "b.jpg")
    assert found.image_index.tolist() == [0, 1]
    assert found.verb_ids.tolist() == [50, 5]
    assert (found.human_categories.tolist(), found.object_categories.tolist()) == ([1, 1], [15, 1])
    assert found.human_boxes.tolist() == [[31, 114, 638, 427], [0, 0, 2.5, 3]]
    assert found.object_boxes.tolist() == [[28, 213, 636, 477], [0, 0, 2.5, 3]]
    assert found.left_out == 2


def test_other_keys(tmp_path):
    image = {
        "file_name": "a.jpg",
        "box_annotations": IMAGE["annotations"],
        "hoi_annotations": [{"subject_id": 0, "object_id": 1, "action_id": 7}],
    }
    assert read(tmp_path, [image], SWIG_KEYS).verb_ids.tolist() == [7]
    with pytest.raises(DataError, match="expected a list of images with file_name, annotations and hoi_annotation"):
        read(tmp_path, [image])


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("hoi_annotation", [{"subject_id": 0, "object_id": 1}], 'image "a.jpg": KeyError: .category_id.; expected'),
        ("hoi_annotation", [{"subject_id": 0.5, "object_id": 1, "category_id": 1}], "0.5 is no whole number"),
        ("annotations", [{"bbox": [1, 2, 3], "category_id": 1}] * 2, r"a bbox is \[1, 2, 3\]; expected four finite"),
        ("annotations", [{"bbox": [1, 2, 3, float("nan")], "category_id": 1}] * 2, "expected four finite numbers"),
        ("file_name", 5, "file_name is 5; expected text"),
    ],
)
def test_one_line_says_what_is_wrong(tmp_path, key, value, expected):
    with pytest.raises(DataError, match=expected):
        read(tmp_path, [IMAGE | {key: value}])
