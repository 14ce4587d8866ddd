"""Official forms: what their evaluators expect, by hand, and that nothing is lost on the way."""

import pickle
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.io import loadmat

from pipeline.core.errors import DataError
from pipeline.core.types import Detections
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.exchange import one_table, read_vcoco_roles, write_vcoco
from pipeline.evaluation.exchange_hicodet import write_hicodet_mat
from pipeline.evaluation.exchange_vcoco import on_people, read_vcoco_pickle, write_upt_cache, write_vcoco_pickle
from pipeline.evaluation.hicodet import Rules
from pipeline.evaluation.role_detections import RoleDetections
from pipeline.evaluation.summary import percent
from pipeline.evaluation.vcoco import evaluate_vcoco
from pipeline.store.restricted_pickle import read_restricted_pickle
from pipeline.truth.hicodet_annotations import read_hicodet_json
from tests.evaluation import reference_hicodet, worlds
from tests.evaluation.reference_vcoco import Reference
from tests.evaluation.vcoco_worlds import NOTHING, annotations, entries, instances, random_world, role_detections
from tests.truth.real_ground_truth import real_ground_truth

ANN, CUP = (0, 0, 20, 40), (20, 10, 30, 20)
OBJECTS = [(1, 10, 1, ANN), (2, 10, 2, CUP)]
ONE_PIXEL = np.array([0, 0, 1, 1], np.float32)
PEOPLE = [(1, 10, {"hold": (2,), "cut": (2, 0)})]


@pytest.fixture
def truth(tmp_path):
    return annotations(tmp_path, PEOPLE, instances(1, OBJECTS))


def test_hicodet_files_are_what_the_official_evaluator_reads(tmp_path):
    vocabulary = read_hicodet_json(real_ground_truth("hicodet", "instances_test2015.json")).vocabulary
    names = [vocabulary.hoi_name(hoi_id) for hoi_id in range(600)]
    rows = [(1, "ride bicycle", 0.9), (0, "hold bicycle", 0.8), (0, "hold bicycle", 0.7), (1, "hug person", 0.6)]
    human = np.array([[0, 0, 10, 20]] * 4, np.float32) + np.arange(4, dtype=np.float32)[:, None]
    found = Detections(
        image_index=np.array([row[0] for row in rows], np.int32),
        hoi_id=np.array([names.index(row[1]) for row in rows], np.int16),
        human_boxes=human,
        object_boxes=human + 5,
        scores=np.array([row[2] for row in rows], np.float32),
    )
    write_hicodet_mat(tmp_path / "out", found, vocabulary, 2, lambda: None)
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == [f"detections_{number:02d}.mat" for number in range(1, 81)]
    cells = [loadmat(path)["all_boxes"] for path in files]
    assert sum(len(cell) for cell in cells) == 600
    bicycle = cells[1]  # COCO's second category; HICO-DET's classes 11 to 24
    block = names[10:24]
    assert bicycle.shape == (14, 2)
    first = bicycle[block.index("hold bicycle"), 0]
    assert first[:, 8].tolist() == pytest.approx([0.8, 0.7])
    assert first[0, :8].tolist() == [1, 1, 10, 20, 6, 6, 15, 25]  # 0-based inclusive: right and bottom less one
    assert bicycle[block.index("ride bicycle"), 1].shape == (1, 9)
    assert sum(cell.size for cell in bicycle.ravel()) == 27
    assert sum(cell.size for cell in cells[0].ravel()) == 9  # person comes first


# COCO's 80 categories in the order of ho-rcnn's `get_list_coco_obj.m`, by which `eval_one.m` numbers the files
# fmt: off
COCO_ORDER = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic_light",
    "fire_hydrant", "stop_sign", "parking_meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis",
    "snowboard", "sports_ball", "kite", "baseball_bat", "baseball_glove", "skateboard", "surfboard",
    "tennis_racket", "bottle", "wine_glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot_dog", "pizza", "donut", "cake", "chair", "couch", "potted_plant", "bed",
    "dining_table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell_phone", "microwave", "oven",
    "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy_bear", "hair_drier", "toothbrush",
)
# fmt: on


def official_hicodet(folder: Path, nouns: list[str], truth) -> np.ndarray:
    """AP of every class as `eval_one.m` finds its detections: file of the noun, row within it, cells, plus one."""
    ap = []
    for action, noun in enumerate(nouns):
        cells = loadmat(folder / f"detections_{COCO_ORDER.index(noun) + 1:02d}.mat")["all_boxes"]
        row = cells[action - nouns.index(noun)]  # nouns lie in blocks
        assert len(row) == truth.num_images
        images = np.concatenate([np.full(len(cell), image) for image, cell in enumerate(row)])
        one_based = np.concatenate(row)[:, :8] + 1  # inclusive, as the annotations
        boxes = (one_based - [1, 1, 0, 0] * 2).astype(np.float32)  # ours, which the reference turns back
        scores = np.concatenate(row)[:, 8].astype(np.float32)
        hois = np.full(len(images), action, np.int16)
        found = Detections(images.astype(np.int32), hois, boxes[:, :4], boxes[:, 4:], scores)
        ap.append(reference_hicodet.evaluate_class(found, truth, action, set(range(truth.num_images)))[0])
    return np.array(ap)


def test_the_official_hicodet_evaluator_scores_an_export(tmp_path):
    """Two classes of each category, in HICO-DET's order: by noun, alphabetically."""
    objects = tuple(sorted(COCO_ORDER))
    vocabulary = Vocabulary(objects, ("hold", "wash"), tuple((verb, obj) for obj in range(80) for verb in (0, 1)))
    rng = np.random.default_rng(0)
    small, found = worlds.random_world(1, num_detections=600)
    truth = replace(small, hoi_id=rng.permutation(160)[small.hoi_id].astype(np.int16))
    near = rng.integers(0, len(truth), len(found))
    found = replace(
        found,
        image_index=truth.image_index[near],
        hoi_id=truth.hoi_id[near],
        human_boxes=truth.human_boxes[near] + rng.integers(0, 3, (len(found), 1)).astype(np.float32),
        object_boxes=truth.object_boxes[near],
    )
    write_hicodet_mat(tmp_path / "out", found, vocabulary, truth.num_images, lambda: None)
    nouns = [objects[obj] for _, obj in vocabulary.hoi_classes]
    result = evaluate_hicodet(found, truth, Rules(vocabulary.hoi_object_ids))
    assert 0 < result.mean_ap < 1
    np.testing.assert_allclose(official_hicodet(tmp_path / "out", nouns, truth), result.ap, atol=1e-12)


def test_an_export_has_the_official_form_alone_and_never_removes_files_of_others(tmp_path, vocabulary):
    empty = worlds.detections([])
    with pytest.raises(DataError, match='"person" has no block of HOI classes'):
        write_hicodet_mat(tmp_path / "out", empty, vocabulary, 2, lambda: None)
    assert not (tmp_path / "out").exists()
    (tmp_path / "detections_01.mat").write_text("of an earlier export")
    with pytest.raises(DataError, match="has no block of HOI classes"):
        write_hicodet_mat(tmp_path, empty, vocabulary, 2, lambda: None)
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(DataError, match=r"photo\.jpg: is there already and holds no HICO-DET detections; .* --output"):
        write_hicodet_mat(tmp_path, empty, vocabulary, 2, lambda: None)
    with pytest.raises(DataError, match=r"photo\.jpg: is there already and holds no HICO-DET detections"):
        write_hicodet_mat(tmp_path / "photo.jpg", empty, vocabulary, 2, lambda: None)


def test_vcoco_pickle_by_hand(tmp_path, truth):
    rows = [(10, 0, 1, ANN, CUP, 0.5), (10, 2, 1, ANN, CUP, 0.25), (10, 2, 2, ANN, CUP, 0.75)]
    assert write_vcoco_pickle(tmp_path / "d.pkl", role_detections(rows), truth) == 1
    person, nobody = pickle.loads((tmp_path / "d.pkl").read_bytes())
    assert person["image_id"] == 10
    assert person["person_box"] == [0, 0, 19, 39]
    assert person["hold_agent"] == 0.5
    assert person["hold_obj"] == [20, 10, 29, 19, 0.5]
    assert person["cut_agent"] == 0.75  # one agent score an action: the best of its roles
    assert person["cut_instr"] == [20, 10, 29, 19, 0.25]
    assert np.isnan(person["walk_agent"])
    assert np.isnan(person["point_instr"]).all()
    assert nobody.pop("image_id") == 10 and nobody.pop("person_box") == [-1] * 4
    assert set(nobody) == set(person) - {"image_id", "person_box"}
    assert all(np.all(np.asarray(value) == 0) for value in nobody.values())


def official_rows(people: list[dict], truth, action: int, role: int | None) -> list[tuple]:
    """What `vsrl_eval.py` takes out of a pickle for one action's role, or its agent: every key of every dict."""
    rows = []
    for person in people:
        name = truth.actions[action] + "_" + ("agent" if role is None else truth.roles[action][role - 1])
        *box, score = np.atleast_1d(np.float32(person[name])).tolist()
        human, thing = np.float32(person["person_box"]) + ONE_PIXEL, np.float32(box or [np.nan] * 4)
        thing = thing + ONE_PIXEL if (thing != 0).any() else thing
        rows.append((person["image_id"], action, role, human, thing, score))
    return rows


def official_figures(people: list[dict], truth, reference, wanted) -> dict[tuple, float]:
    """AP by (action, role or None for the agent, scenario), computed, and stopped, as in the official file."""
    return {
        (action, role, scenario): reference.evaluate(official_rows(people, truth, action, role), action, role, scenario)
        for action, role in wanted
        for scenario in ((1,) if role is None else (1, 2))
    }


@pytest.mark.parametrize("seed", range(3))
def test_the_official_evaluator_scores_an_export(tmp_path, seed):
    """It takes a maximum over the scores of each action and role, so each needs one; the figures are ours."""
    people, world, rows = random_world(seed)
    truth = annotations(tmp_path, people, world)
    rows = [row for row in rows if row[1] in (0, 2)]  # nothing for "walk" and "point", as of most vocabularies
    scores = np.random.default_rng(seed).permutation(len(rows)) + 1.0
    found = role_detections([(*row[:5], score) for row, score in zip(rows, scores, strict=True)])
    kept = on_people(found, truth)
    assert len(kept) < len(found)  # image 60 shows nobody
    write_vcoco_pickle(tmp_path / "d.pkl", kept, truth)
    written = pickle.loads((tmp_path / "d.pkl").read_bytes())
    done = sorted({truth.actions.index(name) for _, _, actions in people for name in actions})
    wanted = [(action, role) for action in done for role in (None, *range(1, len(truth.roles[action]) + 1))]
    reference = Reference(entries(people), world, official=True)
    figures = official_figures(written, truth, reference, wanted)
    result = evaluate_vcoco(kept, truth, "official")
    agents = evaluate_vcoco(read_vcoco_pickle(tmp_path / "d.pkl", truth)[1], truth, "official").agent
    for action, role in wanted:
        if role is None:
            assert figures[action, None, 1] == pytest.approx(agents[action], abs=1e-12)
            continue
        row = truth.verb_roles.index((action, role - 1))
        assert figures[action, role, 1] == pytest.approx(result.role_s1[row], abs=1e-12)
        assert figures[action, role, 2] == pytest.approx(result.role_s2[row], abs=1e-12)
    assert figures[1, None, 1] == figures[3, 1, 2] == 0  # "walk", "point": never predicted, missed as in `evaluate`
    with pytest.raises(ValueError, match="zero-size array"):  # without the last dict it stops
        official_figures(written[:-1], truth, reference, wanted)


def test_the_last_dict_is_of_an_image_whose_first_person_is_annotated(tmp_path):
    """Else the evaluator would drop it."""
    objects = [(1, 10, 1, ANN), (2, 20, 1, ANN), (3, 20, 1, CUP)]
    truth = annotations(tmp_path, [(2, 20, {})], instances(2, objects))  # nobody annotated person 1
    write_vcoco_pickle(tmp_path / "d.pkl", role_detections([]), truth)
    (nobody,) = pickle.loads((tmp_path / "d.pkl").read_bytes())
    assert nobody["image_id"] == 20
    unknown = annotations(tmp_path, [(3, 20, {})], instances(2, objects))
    write_vcoco_pickle(tmp_path / "d.pkl", role_detections([]), unknown)
    assert pickle.loads((tmp_path / "d.pkl").read_bytes()) == []


@pytest.mark.parametrize("content", [b"", b"\x89PNG", pickle.dumps({"a": 1}), pickle.dumps([{"image_id": 1}])])
def test_only_an_earlier_pickle_is_written_over(tmp_path, truth, content):
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(DataError, match="mine: is there already and holds no V-COCO detections; it is never"):
        write_vcoco_pickle(tmp_path / "mine", role_detections([]), truth)
    assert (tmp_path / "mine").read_bytes() == content
    write_vcoco_pickle(tmp_path / "d.pkl", role_detections([(10, 0, 1, ANN, CUP, 0.5)]), truth)
    write_vcoco_pickle(tmp_path / "d.pkl", role_detections([]), truth)
    assert len(pickle.loads((tmp_path / "d.pkl").read_bytes())) == 1  # the row that every file ends with


@pytest.mark.parametrize("seed", range(3))
def test_vcoco_round_trip_scores_the_same(tmp_path, seed):
    people, world, rows = random_world(seed)
    truth = annotations(tmp_path, people, world)
    found = role_detections(rows)
    distinct = np.random.default_rng(seed).permutation(len(found)).astype(np.float32)  # no ties
    found = replace(found, scores=np.where(np.isnan(found.scores), np.nan, distinct))
    write_vcoco_pickle(tmp_path / "d.pkl", found, truth)
    roles, agents = read_vcoco_pickle(tmp_path / "d.pkl", truth)
    expected, result = evaluate_vcoco(found, truth), evaluate_vcoco(roles, truth)
    np.testing.assert_allclose(result.role_s2, expected.role_s2)
    np.testing.assert_allclose(result.role_s1, expected.role_s1)
    single = [row for row, names in enumerate(truth.roles) if len(names) < 2]
    np.testing.assert_allclose(evaluate_vcoco(agents, truth).agent[single], expected.agent[single])


def test_empty_roles_survive_the_round_trip(tmp_path, truth):
    rows = role_detections([(10, 2, 2, ANN, (0, 0, 0, 0), 0.5), (10, 2, 1, ANN, NOTHING, 0.5)])
    write_vcoco_pickle(tmp_path / "d.pkl", rows, truth)
    roles, _ = read_vcoco_pickle(tmp_path / "d.pkl", truth)
    np.testing.assert_array_equal(evaluate_vcoco(roles, truth).role_s1, evaluate_vcoco(rows, truth).role_s1)
    written = pickle.loads((tmp_path / "d.pkl").read_bytes())
    assert [0, 0, 0, 0, 0.5] in [person["cut_obj"] for person in written]
    np.testing.assert_array_equal(np.sort(np.isnan(roles.take(roles.scores > 0).role_boxes).all(1)), [False, True])


def test_vcoco_pickles_of_others_hold_arrays(tmp_path, truth):
    person = {"image_id": np.int64(10), "person_box": np.array([0, 0, 19, 39], np.float32)}
    person |= {f"{action}_agent": np.float32(0.5) for action in truth.actions}
    person |= {
        f"{action}_{role}": np.array([20, 10, 29, 19, 0.5])
        for action, roles in zip(truth.actions, truth.roles, strict=True)
        for role in roles
    }
    for protocol in range(6):
        (tmp_path / "d.pkl").write_bytes(pickle.dumps([person], protocol=protocol))
        roles, agents = read_vcoco_pickle(tmp_path / "d.pkl", truth)
        assert (len(roles), len(agents)) == (4, 4)
        assert roles.human_boxes[0].tolist() == list(ANN)
        assert roles.role_boxes[0].tolist() == list(CUP)
    del person["cut_obj"]
    (tmp_path / "d.pkl").write_bytes(pickle.dumps([person]))
    with pytest.raises(DataError, match=r"KeyError.*cut_obj"):
        read_vcoco_pickle(tmp_path / "d.pkl", truth)
    (tmp_path / "d.pkl").write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match="expected a list of dicts"):
        read_vcoco_pickle(tmp_path / "d.pkl", truth)


class UptTemplate(defaultdict):
    """UPT's class: `utils.CacheTemplate`."""

    def __init__(self, **kwargs):
        super().__init__()
        for key, value in kwargs.items():
            self[key] = value

    def __missing__(self, key):
        return 0.0 if key.split("_")[-1] == "agent" else [0.0, 0.0, 0.1, 0.1, 0.0]


@pytest.fixture(params=["utils", "utils_of_another"])
def upt(request, monkeypatch):
    """UPT's class under the names that its own code and others' have for it."""
    module = ModuleType(request.param)
    module.CacheTemplate = type("CacheTemplate", (UptTemplate,), {"__module__": request.param})
    monkeypatch.setitem(sys.modules, request.param, module)
    return module.CacheTemplate


def test_upts_cache_by_hand(tmp_path, truth, upt):
    """Continuous boxes; an absent key scores 0, as the evaluator sees it."""
    person = upt(image_id=10, person_box=[0.5, 0.0, 20.0, 40.0])
    person["cut_agent"] = 0.25
    person["cut_obj"] = [20.0, 10.0, 30.0, 20.0, 0.25]
    (tmp_path / "cache.pkl").write_bytes(pickle.dumps([person], protocol=2))
    roles, agents = read_vcoco_pickle(tmp_path / "cache.pkl", truth)
    verb_roles = list(zip(roles.action_id.tolist(), roles.role_index.tolist(), strict=True))
    assert verb_roles == [(0, 1), (2, 1), (2, 2), (3, 1)]  # hold obj, cut instr, cut obj, point instr
    assert roles.scores.tolist() == [0, 0, 0.25, 0]
    assert roles.role_boxes.tolist() == [[0, 0, 0.1, 0.1]] * 2 + [list(CUP)] + [[0, 0, 0.1, 0.1]]
    assert roles.human_boxes.tolist() == [[0.5, 0, 20, 40]] * 4
    assert agents.scores.tolist() == [0, 0, 0.25, 0]
    for absent in ("image_id", "person_box"):
        (tmp_path / "cache.pkl").write_bytes(pickle.dumps([upt(**{k: v for k, v in person.items() if k != absent})]))
        with pytest.raises(DataError, match=f"KeyError.*{absent}"):
            read_vcoco_pickle(tmp_path / "cache.pkl", truth)


@pytest.mark.parametrize("upt", ["utils"], indirect=True)
def test_a_written_cache_is_upts(tmp_path, truth, upt):
    rows = [(10, 2, 2, ANN, CUP, 0.25), (10, 1, 0, ANN, NOTHING, 0.5), (10, 0, 1, ANN, NOTHING, 0.75)]
    rows = role_detections([*rows, (10, 0, 1, ANN, CUP, np.nan)])
    write_upt_cache(tmp_path / "cache.pkl", rows, truth)
    cut, walk, hold = pickle.loads((tmp_path / "cache.pkl").read_bytes())
    assert {type(person) for person in (cut, walk, hold)} == {upt}
    assert cut == {"image_id": 10, "person_box": list(ANN), "cut_agent": 0.25, "cut_obj": [*CUP, 0.25]}
    assert walk == {"image_id": 10, "person_box": list(ANN), "walk_agent": 0.5}
    np.testing.assert_array_equal(hold["hold_obj"], [*NOTHING, 0.75])
    assert (hold["cut_agent"], hold["cut_instr"]) == (0, [0, 0, 0.1, 0.1, 0])
    roles, agents = read_vcoco_pickle(tmp_path / "cache.pkl", truth)
    said = roles.take(roles.scores > 0), agents.take(agents.scores > 0)
    assert [len(part) for part in said] == [2, 3]
    np.testing.assert_array_equal(said[0].role_boxes, [CUP, NOTHING])


def rows_of(people: list[dict], action: int, name: str, role: int | None) -> list[tuple]:
    """What an evaluator of continuous boxes takes out of a cache for one action's role, or its agent."""
    rows = []
    for person in people:
        *box, score = np.atleast_1d(person[name]).tolist()
        human, thing = np.array(person["person_box"]), np.array(box or NOTHING)
        rows.append((person["image_id"], action, role, human, thing, score))
    return rows


@pytest.mark.parametrize("upt", ["utils"], indirect=True)
@pytest.mark.parametrize("seed", range(3))
def test_upts_cache_scores_as_its_class_answers(tmp_path, seed, upt):
    """Every key of every object counts, absent ones as well; and the table that is made of it scores the same."""
    people, world, rows = random_world(seed, 60)
    truth = annotations(tmp_path, people, world)
    write_upt_cache(tmp_path / "cache.pkl", role_detections(rows), truth)
    written = pickle.loads((tmp_path / "cache.pkl").read_bytes())
    assert {type(person) for person in written} == {upt}
    roles, agents = read_vcoco_pickle(tmp_path / "cache.pkl", truth)
    of_roles, of_agents = evaluate_vcoco(roles, truth), evaluate_vcoco(agents, truth)
    reference = Reference(entries(people), world, official=False)
    for action in sorted({truth.actions.index(name) for _, _, actions in people for name in actions}):
        found = rows_of(written, action, f"{truth.actions[action]}_agent", None)
        assert of_agents.agent[action] == pytest.approx(reference.evaluate(found, action, None, 1), abs=1e-12)
        for column, role in enumerate(truth.roles[action]):
            found = rows_of(written, action, f"{truth.actions[action]}_{role}", column + 1)
            figures = [reference.evaluate(found, action, column + 1, scenario) for scenario in (1, 2)]
            row = truth.verb_roles.index((action, column))
            assert [of_roles.role_s1[row], of_roles.role_s2[row]] == pytest.approx(figures, abs=1e-12)
    write_vcoco("npz", tmp_path / "d.npz", one_table(roles, agents, truth), truth)
    table = evaluate_vcoco(read_vcoco_roles(tmp_path / "d.npz", truth)[0], truth)
    np.testing.assert_array_equal(table.role_s1, of_roles.role_s1)
    np.testing.assert_array_equal(table.role_s2, of_roles.role_s2)
    single = [row for row, names in enumerate(truth.roles) if len(names) < 2]
    np.testing.assert_array_equal(table.agent[single], of_agents.agent[single])


def test_a_stand_in_runs_nothing(tmp_path, truth, monkeypatch):
    """A class by that name is ours, whatever comes with it: arguments that fit no dict, state, a call."""
    monkeypatch.chdir(tmp_path)
    touch = b"cpathlib\nPath.touch\n"
    for body in (
        b"cutils\nCacheTemplate\n(I1\nI2\ntR",  # CacheTemplate(1, 2)
        b"cutils\nCacheTemplate\n)R}S'key'\nI1\nsb",  # state
        touch + b"(S'executed'\ntR",
        b"cutils\nCacheTemplate\n)R(S'image_id'\n" + touch + b"(S'executed'\ntRu",
    ):
        (tmp_path / "cache.pkl").write_bytes(b"(l" + body + b"a.")
        with pytest.raises(DataError, match="not a pickle of builtins and numpy arrays"):
            read_vcoco_pickle(tmp_path / "cache.pkl", truth)
    assert not (tmp_path / "executed").exists()


class _Payload:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


class _Evaluated:
    def __reduce__(self):
        return (eval, ("1 + 1",))


@pytest.mark.parametrize("payload", [_Payload(), _Evaluated(), [np.zeros(2), _Payload()], np.array([_Payload()])])
def test_nothing_but_data_is_read(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.pkl").write_bytes(pickle.dumps(payload))
    with pytest.raises(DataError, match="not a pickle of builtins and numpy arrays") as caught:
        read_restricted_pickle(tmp_path / "d.pkl")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps([1, 2])[:-3]])
def test_damaged_pickles_are_one_line(tmp_path, content):
    (tmp_path / "d.pkl").write_bytes(content)
    with pytest.raises(DataError, match="not a pickle"):
        read_restricted_pickle(tmp_path / "d.pkl")
    with pytest.raises(DataError, match="does not exist"):
        read_restricted_pickle(tmp_path / "absent.pkl")


def test_triplets_become_role_detections(tmp_path, truth):
    vocabulary = Vocabulary(("person", "bicycle"), ("cut obj", "hold obj"), ((1, 1), (0, 1)))
    found = Detections(
        np.zeros(2, np.int32),
        np.array([0, 1], np.int16),
        np.array([ANN] * 2, np.float32),
        np.array([CUP] * 2, np.float32),
        np.array([0.9, 0.8], np.float32),
    )
    rows = RoleDetections.of_triplets(found, vocabulary, truth)
    assert rows.image_id.tolist() == [10, 10]
    assert rows.action_id.tolist() == [0, 2]  # hold; cut
    assert rows.role_index.tolist() == [1, 2]  # of cut, obj is the second role after the agent
    scores = evaluate_vcoco(rows, truth).figures(percent)
    assert all(name.startswith(("ap_", "per_")) for name in scores)  # which no group of classes may
    assert scores["per_role"]["hold obj"] == {"s1": 100, "s2": 100}
    assert scores["per_role"]["cut obj"] == {"s1": 0, "s2": 100}  # nothing was cut: only scenario 2 forgives the box
    assert scores["per_agent"]["cut"] == 100
    other = Vocabulary(("person", "bicycle"), ("ride",), ((0, 1),))
    with pytest.raises(DataError, match='verb "ride" is no action with a role'):
        RoleDetections.of_triplets(found, other, truth)
