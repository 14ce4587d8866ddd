import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.truth.vcoco_annotations import read_vcoco
from tests.evaluation.vcoco_worlds import annotations, entries, instances, write_files

ANN, BOB, CUP = (0, 0, 20, 40), (50, 0, 70, 40), (20, 10, 30, 20)
OBJECTS = [(1, 10, 1, ANN), (4, 10, 2, CUP), (2, 20, 1, BOB), (3, 10, 1, BOB)]
PEOPLE = [(1, 10, {"hold": (4,), "walk": ()}), (2, 20, {"cut": (0, 2)})]


def test_people_labels_roles_and_vocabulary(tmp_path):
    truth = annotations(tmp_path, PEOPLE, instances(2, OBJECTS))
    assert truth.image_ids.tolist() == [10, 20]
    assert truth.person_image.tolist() == [0, 0, 1]  # Ann, a person of image 10 whom nobody annotated, Bob
    assert truth.labels.tolist() == [[1, 1, 0, 0], [-1] * 4, [0, 0, 1, 0]]
    assert truth.boxes[truth.role_box[0, 0, 0]].tolist() == list(CUP)
    assert truth.role_box[2, 2].tolist() == [-1, truth.person_box[2]]
    assert (truth.role_box[1] == -1).all()
    assert truth.actions == ("hold", "walk", "cut", "point")
    names = [truth.verb_role_name(*verb_role) for verb_role in truth.verb_roles]
    assert names == ["hold obj", "cut instr", "cut obj", "point instr"]
    assert truth.categories == {1: "person", 2: "bicycle"}


def test_boxes_are_continuous_and_clipped_as_inclusive_pixels(tmp_path):
    objects = [
        (1, 10, 1, (10, 20, 40.5, 60.25)),
        (2, 10, 1, (80, 80, 120, 120)),  # the image is 100 x 100
        (3, 10, 1, (-5, -5, 10, 10)),
    ]
    truth = annotations(tmp_path, [(1, 10, {})], instances(1, objects))
    assert truth.boxes.tolist() == [[10, 20, 40.5, 60.25], [80, 80, 100, 100], [0, 0, 10, 10]]


def test_boxes_of_a_pixel_of_no_area_or_ignored_are_dropped(tmp_path):
    objects = [(i, 10, 1, box) for i, box in enumerate([ANN, (5, 5, 6, 30), (99, 0, 130, 50), BOB, CUP], start=1)]
    world = instances(1, objects)
    world["annotations"][3]["area"] = 0
    world["annotations"][4]["ignore"] = 1
    truth = annotations(tmp_path, [(1, 10, {"walk": ()})], world)
    assert truth.boxes.tolist() == [list(ANN)]
    assert truth.labels.tolist() == [[0, 1, 0, 0]]


def test_role_lists_are_read_role_by_role(tmp_path):
    people = [(1, 10, {"cut": (4, 0)}), (3, 10, {"cut": (0, 4)})]
    objects = [row for row in OBJECTS if row[1] == 10]
    assert entries(people)[2]["role_object_id"] == [1, 3, 4, 0, 0, 4]
    truth = annotations(tmp_path, people, instances(1, objects))
    assert (truth.role_box[:, 2] >= 0).tolist() == [[True, False], [False, True]]


def test_labels_may_be_columns_as_in_matlab_exports(tmp_path):
    rows = entries(PEOPLE)
    for row in rows:
        row["label"] = [[value] for value in row["label"]]
    assert read_vcoco(*write_files(tmp_path, rows, instances(2, OBJECTS))).labels[0].tolist() == [1, 1, 0, 0]


def without(rows, key):
    return [{name: value for name, value in row.items() if name != key} for row in rows]


def twice(world, key):
    return world | {key: [*world[key], world[key][-1]]}


@pytest.mark.parametrize(
    ("rows", "world", "message"),
    [
        ({"correspondence": []}, instances(2, OBJECTS), "looks like HICO-DET"),
        ([], instances(2, OBJECTS), "expected a list of 26 actions"),
        (without(entries(PEOPLE), "label"), instances(2, OBJECTS), "action 0 has no label"),
        ([entries(PEOPLE)[0] | {"label": [1]}], instances(2, OBJECTS), "label has 1 values, expected 2"),
        ([entries(PEOPLE)[0] | {"role_name": []}], instances(2, OBJECTS), "has 0 roles"),
        ([entries(PEOPLE)[0] | {"ann_id": 3}], instances(2, OBJECTS), "unexpected structure"),
        (entries(PEOPLE), instances(2, OBJECTS[:2]), "ann_id 2 is not in .*train and val together"),
        (entries(PEOPLE), instances(2, [OBJECTS[0], *OBJECTS[2:]]), "ann_id 4 is not in"),
        (entries(PEOPLE), {"images": []}, "not COCO instances .*annotations missing"),
        (entries(PEOPLE), {"images": [{"id": 1}], "annotations": []}, "unexpected structure .*width"),
        (entries(PEOPLE), {"images": [], "annotations": []}, "the instances list no image"),
        ([entries(PEOPLE)[0] | {"action_name": None}], instances(2, OBJECTS), "action 0 is named None"),
        (entries(PEOPLE), twice(instances(2, OBJECTS), "images"), "image 20 occurs twice in the instances"),
        (
            entries(PEOPLE),
            instances(2, [*OBJECTS, (9, 10, 2, (0, 0, float("nan"), 5))]),
            "bbox of annotation 9 is .*nan",
        ),
    ],
)
def test_damaged_or_foreign_files_are_refused(tmp_path, rows, world, message):
    with pytest.raises(DataError, match=message) as error:
        read_vcoco(*write_files(tmp_path, rows, world))
    assert "\n" not in str(error.value)


def test_truncated_file(tmp_path):
    path, instances_path = write_files(tmp_path, entries(PEOPLE), instances(2, OBJECTS))
    instances_path.write_text(instances_path.read_text()[:-20])
    with pytest.raises(DataError, match="truncated"):
        read_vcoco(path, instances_path)


def test_no_people(tmp_path):
    truth = annotations(tmp_path, [], instances(1, []))
    assert (len(truth), len(truth.person_box), truth.role_box.shape) == (1, 0, (0, 4, 2))
    assert truth.boxes.dtype == np.float32
