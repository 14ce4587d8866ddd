import json

import pytest

from pipeline.core.errors import DataError
from pipeline.truth.vcoco_pairs import official_pairs, read_vcoco_pairs, vcoco_vocabulary
from tests.evaluation.vcoco_worlds import annotations, instances
from tests.truth.real_ground_truth import real_ground_truth

SMALL = {
    "annotations": [
        {
            "boxes_h": [[0, 0, 20.5, 40]],
            "boxes_o": [[1, 2, 3, 4]],
            "actions": [1],
            "objects": [2],
            "file_name": "a_10.jpg",
        },
        {"boxes_h": [], "boxes_o": [], "actions": [], "objects": [], "file_name": "a_20.jpg"},
    ],
    "classes": ["hold obj", "cut instr"],
    "objects": ["background", "person", "knife"],
    "images": [10, 20],
    "action_to_object": [[2, 1], [2]],
}


def small(tmp_path, **changes):
    (tmp_path / "pairs.json").write_text(json.dumps(SMALL | changes))
    return tmp_path / "pairs.json"


def test_json_form(tmp_path):
    pairs = read_vcoco_pairs(small(tmp_path))
    assert pairs.vocabulary.objects == ("person", "knife")  # no background
    assert [pairs.vocabulary.hoi_name(h) for h in range(3)] == ["hold obj person", "hold obj knife", "cut instr knife"]
    assert pairs.truth.hoi_id.tolist() == [2]
    assert pairs.truth.human_boxes.tolist() == [[0, 0, 20.5, 40]]  # continuous already
    assert [label.hoi_ids.tolist() for label in pairs.image_labels()] == [[2], []]


def test_the_human_category_may_have_another_name(tmp_path):
    assert read_vcoco_pairs(small(tmp_path, objects=["background", "human", "knife"])).vocabulary.human == "human"
    path = small(tmp_path, objects=["background", "worker", "knife"], human="worker")
    assert read_vcoco_pairs(path).vocabulary.human == "worker"


@pytest.mark.parametrize(("split", "images", "num_pairs"), [("test", 4946, 12402), ("train", 2533, None)])
def test_real_files(split, images, num_pairs):
    pairs = read_vcoco_pairs(real_ground_truth("vcoco", f"instances_vcoco_{split}.json"))
    vocabulary = pairs.vocabulary
    assert (vocabulary.num_verbs, vocabulary.num_objects, vocabulary.num_hois) == (24, 80, 236)
    assert len(pairs) == images
    assert num_pairs is None or len(pairs.truth.hoi_id) == num_pairs


def pair(**changes):
    return {"annotations": [SMALL["annotations"][0] | changes, SMALL["annotations"][1]]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action_to_object": [[1], [1]]}, "no HOI class"),
        ({"images": [10]}, "images has 1 entries, expected 2; the file is damaged"),
        (
            pair(actions=[-1]),
            r"action id -1 is unknown; expected 0\.\.1",
        ),  # the last verb, had it counted from the end
        (pair(actions=[1.5]), "action ids are not all whole numbers"),
        (pair(objects=[0]), r"object id 0 is unknown; expected 1\.\.2"),  # the background
        (pair(boxes_h=[]), "boxes_h has 0 entries, expected 1"),
        (pair(boxes_o=[[1, 2, float("nan"), 4]]), "a box of pair 0 is .*nan"),
        ({"annotations": [{"file_name": "a"}]}, "KeyError: 'actions'"),
    ],
)
def test_damaged_files_are_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read_vcoco_pairs(small(tmp_path, **changes))


def test_pairs_of_official_files(tmp_path):
    objects = [(1, 10, 1, (0, 0, 20, 40)), (4, 10, 2, (20, 10, 30, 20)), (2, 20, 1, (50, 0, 70, 40))]
    people = [(1, 10, {"hold": (4,), "walk": (), "point": (4,)}), (2, 20, {"cut": (0, 2), "hold": (0,)})]
    truth = annotations(tmp_path, people, instances(2, objects))
    vocabulary = vcoco_vocabulary([truth])
    assert vocabulary.verbs == ("hold obj", "cut instr", "cut obj")  # without "point instr"
    pairs = official_pairs(truth, vocabulary)
    found = [(int(i), vocabulary.hoi_name(h)) for i, h in zip(pairs.truth.image_index, pairs.truth.hoi_id, strict=True)]
    assert found == [(0, "hold obj bicycle"), (1, "cut obj person")]  # empty roles and role-less actions make no pair
    assert pairs.truth.object_boxes.tolist() == [[20, 10, 30, 20], [50, 0, 70, 40]]
    assert pairs.sizes.tolist() == [[100, 100]] * 2


def test_a_class_outside_the_vocabulary_is_refused(tmp_path):
    objects = [(1, 10, 1, (0, 0, 20, 40)), (4, 10, 2, (20, 10, 30, 20))]
    truth = annotations(tmp_path, [(1, 10, {"hold": (4,)})], instances(1, objects))
    other = annotations(tmp_path, [(1, 10, {"hold": (1,)})], instances(1, objects))
    with pytest.raises(DataError, match='"hold obj" with "bicycle" is no class'):
        official_pairs(truth, vcoco_vocabulary([other]))
