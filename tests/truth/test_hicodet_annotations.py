import json

import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.truth.ground_truth import check_scored_boxes
from pipeline.truth.hicodet_annotations import read_hicodet_json
from tests.truth.real_ground_truth import real_ground_truth

SMALL = {
    "annotation": [
        {
            "boxes_h": [[1.0, 1.0, 10.0, 20.0], [5.0, 5.0, 5.0, 5.0]],
            "boxes_o": [[3.0, 4.0, 30.0, 40.0], [1.0, 2.0, 3.0, 4.0]],
            "hoi": [2, 0],
            "object": [1, 0],
            "verb": [1, 0],
        },
        {"boxes_h": [], "boxes_o": [], "hoi": [], "object": [], "verb": []},
    ],
    "filenames": ["a.jpg", "b.jpg"],
    "empty": [1],
    "objects": ["bicycle", "person"],
    "verbs": ["hug", "ride"],
    "correspondence": [[0, 0, 0], [1, 0, 1], [2, 1, 1]],
    "size": [[64, 48], [30, 20]],
    "rare": [2],
    "non_rare": [0, 1],
}


def small(tmp_path, **changes):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(SMALL | changes))
    return path


def test_json_form(tmp_path):
    annotations = read_hicodet_json(small(tmp_path))
    vocabulary, truth = annotations.vocabulary, annotations.truth
    assert [vocabulary.hoi_name(h) for h in range(3)] == ["hug bicycle", "ride bicycle", "ride person"]
    assert truth.human_boxes.tolist() == [[0, 0, 10, 20], [4, 4, 5, 5]]  # inclusive pixels have become continuous
    assert truth.object_boxes.tolist() == [[2, 3, 30, 40], [0, 1, 3, 4]]
    assert truth.human_boxes.dtype == np.float32
    assert (truth.image_index.tolist(), truth.hoi_id.tolist()) == ([0, 0], [2, 0])
    assert (len(annotations), truth.num_images, len(truth)) == (2, 2, 2)  # an image without pairs stays
    assert annotations.sizes.tolist() == [[64, 48], [30, 20]]
    assert annotations.rare.tolist() == [False, False, True]
    labels = [(label.image_id, label.hoi_ids.tolist()) for label in annotations.image_labels()]
    assert labels == [("a", [0, 2]), ("b", [])]  # sorted


@pytest.mark.parametrize(
    ("objects", "declared", "human"),
    [
        (["bicycle", "person"], {}, "person"),
        (["bicycle", "human"], {}, "human"),
        (["bicycle", "people"], {"human": None}, "people"),
        (["human", "person"], {}, "person"),
        (["human", "person"], {"human": "human"}, "human"),
        (["bicycle", "worker"], {"human": "worker"}, "worker"),
    ],
)
def test_the_human_category_may_have_another_name(tmp_path, objects, declared, human):
    assert read_hicodet_json(small(tmp_path, objects=objects, **declared)).vocabulary.human == human


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objects": ["bicycle", "worker"]},
            "no human category .* expected one of person, human, people",
        ),
        ({"objects": ["bicycle", "worker"], "human": "workers"}, '"workers" is not among the 2 .* mean "worker"'),
        ({"objects": ["bicycle", "worker"], "human": 5}, '"5" is not among the 2 objects'),
    ],
)
def test_a_human_category_that_is_none_is_one_line(tmp_path, changes, message):
    with pytest.raises(DataError, match=rf"annotations\.json: .*{message}") as error:
        read_hicodet_json(small(tmp_path, **changes))
    assert "\n" not in str(error.value)


def test_real_test_set():
    annotations = read_hicodet_json(real_ground_truth("hicodet", "instances_test2015.json"))
    vocabulary = annotations.vocabulary
    assert (vocabulary.num_verbs, vocabulary.num_objects, vocabulary.num_hois) == (117, 80, 600)
    assert (len(annotations), len(annotations.truth.hoi_id), annotations.rare.sum()) == (9658, 33405, 138)
    assert len(annotations) - len(np.unique(annotations.truth.image_index)) == 112
    assert len(np.unique(annotations.truth.hoi_id)) == 600
    check_scored_boxes(annotations.truth, annotations.sizes, annotations.filenames, "real")
    assert annotations.truth.human_boxes.min() >= 0
    assert (annotations.truth.object_boxes[:, 2:] <= annotations.sizes[annotations.truth.image_index]).all()


def with_hoi(hoi):
    image = {"hoi": [hoi], "boxes_h": [[1, 1, 2, 2]], "boxes_o": [[1, 1, 2, 2]]}
    return {"annotation": [image, SMALL["annotation"][1]]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filenames": ["a.jpg"]}, "filenames has 1 entries, expected 2"),
        ({"size": [[1, 1]]}, "size has 1 entries, expected 2"),
        ({"correspondence": [[1, 0, 0]]}, "correspondence should list HOI ids"),
        ({"correspondence": [5]}, "correspondence should hold"),
        ({"correspondence": [[0, 0, 0]]}, "HOI id 2 is unknown"),
        ({"annotation": [{"hoi": [0], "boxes_h": [], "boxes_o": [[1, 1, 2, 2]]}, SMALL["annotation"][1]]}, "boxes_h"),
        ({"annotation": [{"hoi": [0], "boxes_h": [[1]], "boxes_o": []}]}, "not HICO-DET annotations"),
        ({"annotation": [{"boxes_h": []}]}, "KeyError: 'hoi'"),
        (with_hoi(65538), "HOI id 65538 is unknown; expected 0..2"),  # 2, had it wrapped around in 16 bits
        (with_hoi(-1), "HOI id -1 is unknown"),
        (with_hoi(1.5), "HOI ids are not all whole numbers"),
        (with_hoi("ride"), "HOI ids are not all whole numbers"),
        ({"rare": [3]}, "HOI id 3 is unknown"),
        ({"rare": None}, "HOI ids are not all whole numbers"),
        ({"filenames": 5}, "not HICO-DET annotations"),
        ({"objects": None}, "do not fit together"),
        (
            {"objects": ["bicycle"]},
            "annotations.json: objects, verbs and correspondence do not fit together .vocabulary: ",
        ),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as error:
        read_hicodet_json(small(tmp_path, **changes))
    assert "\n" not in str(error.value)


def test_nan_boxes_are_refused(tmp_path):
    image = {"hoi": [0], "boxes_h": [[1, 1, float("nan"), 2]], "boxes_o": [[1, 1, 2, 2]]}
    with pytest.raises(DataError, match="a box of pair 0"):
        read_hicodet_json(small(tmp_path, annotation=[image, SMALL["annotation"][1]]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"annotation": [', "not JSON, at line 1 .* truncated"),
        ("", "not JSON"),
        ("[]", "not HICO-DET annotations"),
        ("[" * 100_000, "nested too deeply"),
        ('{"categories": []}', "looks like COCO instances"),
        ('{"action_to_object": []}', "looks like the JSON form of V-COCO"),
        ('[{"role_object_id": []}]', "looks like an official V-COCO file"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_hicodet_json(path)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_hicodet_json(tmp_path / "absent.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(DataError, match="not a text file"):
        read_hicodet_json(tmp_path / "binary.json")
