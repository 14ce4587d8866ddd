import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.evaluation.vcoco import TIES, evaluate_vcoco
from pipeline.truth.vcoco_annotations import read_vcoco
from tests.evaluation import reference_vcoco
from tests.evaluation.vcoco_worlds import (
    ACTIONS,
    NOTHING,
    annotations,
    entries,
    instances,
    random_world,
    role_detections,
    write_files,
)
from tests.truth.real_ground_truth import real_ground_truth

HOLD, WALK, CUT, POINT = range(4)
ANN, BOB, STRANGER = (0, 0, 20, 40), (50, 0, 70, 40), (80, 60, 95, 95)
CUP = (20, 10, 30, 20)
FAR = (40, 60, 50, 70)
OBJECTS = [(1, 10, 1, ANN), (2, 10, 1, BOB), (3, 10, 1, STRANGER), (4, 10, 2, CUP)]
# Ann holds the cup; Bob holds something that is not annotated, and walks; nobody annotated the stranger.
PEOPLE = [(1, 10, {"hold": (4,)}), (2, 10, {"hold": (0,), "walk": ()})]


@pytest.fixture
def truth(tmp_path):
    return annotations(tmp_path, PEOPLE, instances(2, OBJECTS))


def hold(truth, *rows):
    """AP of "hold obj" in both scenarios for (human, role box, score) rows on image 10."""
    result = evaluate_vcoco(role_detections([(10, HOLD, 1, *row) for row in rows]), truth)
    return result.role_s1[0], result.role_s2[0]


ZEROS, NAN = (0, 0, 0, 0), float("nan")


@pytest.mark.parametrize(
    ("rows", "scenario_1", "scenario_2"),
    [
        ([(ANN, CUP, 0.9)], 0.5, 0.5),  # two people hold something: each is a positive
        ([(ANN, FAR, 0.9)], 0, 0),
        ([(FAR, CUP, 0.9)], 0, 0),
        ([((0, 0, 20, 20), CUP, 0.9)], 0.5, 0.5),  # an IoU of a half counts
        ([((0, 0, 20, 19), CUP, 0.9)], 0, 0),
        ([(ANN, (20, 10, 30, 15), 0.9)], 0.5, 0.5),
        ([(ANN, (20, 10, 30, 14), 0.9)], 0, 0),
        ([(BOB, CUP, 0.9)], 0, 0.5),  # the scenarios differ where the role is empty
        *(([(BOB, empty, 0.9)], 0.5, 0.5) for empty in (NOTHING, ZEROS)),
        *(([(ANN, empty, 0.9)], 0, 0) for empty in (NOTHING, ZEROS)),
        ([(STRANGER, CUP, 0.9), (ANN, CUP, 0.8)], 0.5, 0.5),  # nobody annotated this person: dropped
        ([(ANN, FAR, 0.9), (ANN, CUP, 0.8)], 0.25, 0.25),  # a failed role does not cover the person
        ([(ANN, CUP, 0.9), (ANN, CUP, 0.8), (BOB, NOTHING, 0.7)], 5 / 6, 5 / 6),  # a duplicate has no second choice
        ([(ANN, FAR, NAN), (ANN, CUP, 0.8)], 0.5, 0.5),
        ([(ANN, CUP, 0.0)], 0.5, 0.5),
        ([(ANN, CUP, 0.5), (ANN, FAR, 0.5)], 0.5, 0.5),  # ties go by row
        ([(ANN, FAR, 0.5), (ANN, CUP, 0.5)], 0.25, 0.25),
    ],
)
def test_role_ap_by_hand(truth, rows, scenario_1, scenario_2):
    assert hold(truth, *rows) == pytest.approx((scenario_1, scenario_2), abs=1e-15)


def test_the_nearest_person_is_sought_among_all_people(tmp_path):
    # The box overlaps the stranger best and Ann well enough: it goes to the stranger, and is dropped.
    truth = annotations(tmp_path, PEOPLE, instances(2, [*OBJECTS[:2], (3, 10, 1, (2, 0, 22, 40)), OBJECTS[3]]))
    assert hold(truth, ((2, 0, 22, 40), CUP, 0.9)) == (0, 0)


def test_without_any_overlap_the_first_person_is_nearest(tmp_path):
    far = ((40, 60, 50, 70), FAR, 0.9)
    truth = annotations(tmp_path, PEOPLE, instances(2, OBJECTS))
    assert hold(truth, far, (ANN, CUP, 0.8)) == (0.25, 0.25)  # Ann comes first, she is annotated: a false positive
    strangers_first = [OBJECTS[2], OBJECTS[0], OBJECTS[1], OBJECTS[3]]
    truth = annotations(tmp_path, PEOPLE, instances(2, strangers_first))
    assert hold(truth, far, (ANN, CUP, 0.8)) == (0.5, 0.5)  # the stranger comes first: dropped


def test_object_category_is_never_compared(tmp_path):
    objects = [*OBJECTS[:3], (4, 10, 77, CUP)]
    assert hold(annotations(tmp_path, PEOPLE, instances(2, objects)), (ANN, CUP, 0.9)) == (0.5, 0.5)


def test_official_ties(tmp_path):
    """The last image comes first; within an image the last row claims the person, and the first one comes first."""
    people = [(1, 10, {"hold": (4,)}), (5, 20, {"walk": ()})]
    truth = annotations(tmp_path, people, instances(2, [OBJECTS[0], OBJECTS[3], (5, 20, 1, ANN)]))

    def scored(*rows, ties="official"):
        return evaluate_vcoco(role_detections(rows), truth, ties).role_s1[0]

    hit, duplicate, miss = (10, HOLD, 1, ANN, CUP, 0.5), (10, HOLD, 1, ANN, CUP, 0.5), (20, HOLD, 1, ANN, CUP, 0.5)
    for rows in ((hit, miss), (miss, hit)):
        assert scored(*rows) == 0.5
    assert scored(hit, miss, ties="row_order") == 1
    assert scored((10, HOLD, 1, ANN, FAR, 0.5), hit) == 0.5  # ranked in row order
    assert scored(hit, (10, HOLD, 1, ANN, FAR, 0.5)) == 1
    assert scored(hit, duplicate) == 0.5  # the last row claims Ann, the first one comes first and is a duplicate
    near = np.nextafter(np.float64(0.5), 1)  # equal to 0.5 in float32, which the official file sorts
    rows = role_detections([hit, miss])
    assert evaluate_vcoco(replace(rows, scores=np.array([near, 0.5])), truth, "official").role_s1[0] == 0.5
    assert evaluate_vcoco(replace(rows, scores=np.array([near, 0.5])), truth).role_s1[0] == 1


def test_detections_that_meet_nobody_are_told_apart(truth):
    rows = [(10, HOLD, 1, FAR, CUP, 0.5), (10, HOLD, 1, STRANGER, CUP, 0.5), (20, HOLD, 1, ANN, CUP, 0.5)]
    assert evaluate_vcoco(role_detections(rows), truth).num_met == 0
    assert evaluate_vcoco(role_detections([*rows, (10, WALK, 0, ANN, NOTHING, 0.5)]), truth).num_met == 0
    assert evaluate_vcoco(role_detections([*rows, (10, HOLD, 1, ANN, FAR, 0.5)]), truth).num_met == 1


def test_images_without_people_give_false_positives(truth):
    rows = [(20, HOLD, 1, ANN, CUP, 0.9), (10, HOLD, 1, ANN, CUP, 0.8)]
    assert evaluate_vcoco(role_detections(rows), truth).role_s1[0] == 0.25


def test_agents_need_no_role(truth):
    rows = [(10, WALK, 0, BOB, NOTHING, 0.9), (10, HOLD, 1, ANN, FAR, 0.9), (10, HOLD, 0, BOB, NOTHING, 0.8)]
    result = evaluate_vcoco(role_detections(rows), truth)
    np.testing.assert_array_equal(result.agent, [1, 1, np.nan, np.nan])
    assert result.role_s1[0] == 0  # role_index 0 is no role detection
    assert evaluate_vcoco(role_detections([(10, WALK, 1, BOB, NOTHING, 0.9)]), truth).agent[WALK] == 1
    assert result.ap_agent == 0.5


def test_a_person_who_does_not_do_it_is_a_false_positive(truth):
    rows = [(10, WALK, 0, ANN, NOTHING, 0.9), (10, WALK, 0, BOB, NOTHING, 0.8)]
    assert evaluate_vcoco(role_detections(rows), truth).agent[WALK] == 0.5


def test_roles_of_an_action_are_apart(tmp_path):
    people = [(1, 10, {"cut": (4, 0)})]
    truth = annotations(tmp_path, people, instances(1, [OBJECTS[0], OBJECTS[3]]))
    rows = [(10, CUT, 1, ANN, CUP, 0.9), (10, CUT, 2, ANN, NOTHING, 0.9)]
    result = evaluate_vcoco(role_detections(rows), truth)
    names = dict(zip(result.verb_roles, result.role_s1, strict=True))
    assert (names["cut instr"], names["cut obj"]) == (1, 1)
    swapped = evaluate_vcoco(role_detections([(10, CUT, 2, ANN, CUP, 0.9)]), truth)
    assert dict(zip(swapped.verb_roles, swapped.role_s1, strict=True)) == pytest.approx(
        {"hold obj": np.nan, "cut instr": 0, "cut obj": 0, "point instr": np.nan}, nan_ok=True
    )


def test_point_counts_in_the_official_mean_only(tmp_path):
    truth = annotations(tmp_path, [(1, 10, {"point": (4,)})], instances(1, [OBJECTS[0], OBJECTS[3]]))
    result = evaluate_vcoco(role_detections([(10, POINT, 1, ANN, CUP, 0.9)]), truth)
    assert (result.ap_role_s1_25, result.ap_role_s2_25) == (1 / 4, 1 / 4)
    assert (result.ap_role_s1, result.ap_role_s2) == (0, 0)


def test_no_detections_score_0(truth):
    result = evaluate_vcoco(role_detections([]), truth)
    assert (result.ap_role_s1, result.ap_role_s2, result.ap_agent) == (0, 0, 0)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("seed", range(15))
def test_equals_the_reference(seed, ties, tmp_path):
    people, world, rows = random_world(seed)
    if ties == "official":
        rows = [row for row in rows if row[0] != 60]  # the official file can't take detections where nobody is
    result = evaluate_vcoco(role_detections(rows), annotations(tmp_path, people, world), ties)
    reference = reference_vcoco.Reference(entries(people), world, official=ties == "official")
    done = {action for _, _, actions in people for action in actions}
    verb_roles = [(action, role + 1) for action, (_, roles) in enumerate(ACTIONS) for role in range(len(roles))]
    for row, (action, role) in enumerate(verb_roles):
        if ACTIONS[action][0] in done:
            assert result.role_s1[row] == pytest.approx(reference.evaluate(rows, action, role, 1), abs=1e-12)
            assert result.role_s2[row] == pytest.approx(reference.evaluate(rows, action, role, 2), abs=1e-12)
    for action, (name, _) in enumerate(ACTIONS):
        if name in done:
            assert result.agent[action] == pytest.approx(reference.evaluate(rows, action, None, 1), abs=1e-12)


def official_world(num_images):
    """Official files made from the real pairs of some images: unique boxes are the people and objects."""
    data = json.loads(real_ground_truth("vcoco", "instances_vcoco_test.json").read_text())
    world = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    people = {}
    for image_id, image in list(zip(data["images"], data["annotations"], strict=True))[:num_images]:
        world["images"].append({"id": image_id, "width": 640, "height": 640, "file_name": image["file_name"]})
        ids = {}
        for category, boxes in ((1, image["boxes_h"]), (2, image["boxes_o"])):
            for x1, y1, x2, y2 in boxes:
                if (x1, y1, x2, y2) not in ids:
                    ids[x1, y1, x2, y2] = ann_id = len(world["annotations"]) + 1
                    box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
                    world["annotations"].append({"id": ann_id, "image_id": image_id, "category_id": category, **box})
        for human, obj, verb in zip(image["boxes_h"], image["boxes_o"], image["actions"], strict=True):
            done = people.setdefault(ids[tuple(human)], (image_id, {}))[1]
            done[data["classes"][verb]] = (ids[tuple(obj)],)
    actions = tuple((name, (name.split(" ")[1],)) for name in data["classes"])
    rows = [(ann_id, image_id, done) for ann_id, (image_id, done) in people.items()]
    return [row | {"action_name": row["action_name"].split(" ")[0]} for row in entries(rows, actions)], world


def test_equals_the_reference_on_real_images(tmp_path):
    official, world = official_world(30)
    truth = read_vcoco(*write_files(tmp_path, official, world))
    rng, rows = np.random.default_rng(0), []
    for person, action, role in np.argwhere(truth.role_box >= 0).repeat(6, axis=0):
        human, obj = truth.boxes[truth.person_box[person]], truth.boxes[truth.role_box[person, action, role]]
        jitter = rng.normal(0, 10, (2, 4)).astype(np.float32)
        image_id = truth.image_ids[truth.person_image[person]]
        rows.append((image_id, action, role + 1, human + jitter[0], obj + jitter[1], rng.integers(0, 20) / 20))
    result = evaluate_vcoco(role_detections(rows), truth)
    reference = reference_vcoco.Reference(official, world)
    assert np.isfinite(result.agent).sum() > 10
    for action in np.flatnonzero(np.isfinite(result.agent)):
        expected = [reference.evaluate(rows, action, 1, scenario) for scenario in (1, 2)]
        assert [result.role_s1[action], result.role_s2[action]] == pytest.approx(expected, abs=1e-12)
        assert result.agent[action] == pytest.approx(reference.evaluate(rows, action, None, 1), abs=1e-12)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((30, HOLD, 1, ANN, CUP, 0.5), "image_id 30 in row 1 is not among the 2 images"),
        ((10, 4, 1, ANN, CUP, 0.5), "action_id 4 in row 1 is out of range"),
        ((10, HOLD, 2, ANN, CUP, 0.5), 'role_index 2 in row 1 is out of range; action 0 "hold" has roles 0..1'),
        ((10, HOLD, -1, ANN, CUP, 0.5), "role_index -1 in row 1"),
    ],
)
def test_bad_rows_are_refused(truth, row, message):
    with pytest.raises(DataError, match=message):
        evaluate_vcoco(role_detections([(10, HOLD, 1, ANN, CUP, 0.5), row]), truth)
