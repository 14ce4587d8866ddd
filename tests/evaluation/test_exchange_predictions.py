"""Detections as other projects leave them: read by hand-worked values, written and read back without a loss."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.coco_categories import COCO_80
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.exchange import HICODET_FORMS, read_hicodet, write_hicodet
from pipeline.evaluation.exchange_hicodet import read_hicodet_folder, write_hicodet_mat
from pipeline.evaluation.exchange_predictions import read_predictions
from pipeline.evaluation.hicodet import Rules
from pipeline.truth.hicodet_annotations import HicoDetAnnotations
from tests.evaluation import worlds

OBJECTS = tuple(sorted(name.replace(" ", "_") for name in COCO_80.values()))
VERBS = ("hold", "ride", "wash", "watch")
# One to four classes an object, so that its place in the alphabet and in COCO's order differ in their rows.
VOCABULARY = Vocabulary(OBJECTS, VERBS, tuple((verb, obj) for obj in range(80) for verb in range(obj * 7 % 4 + 1)))
NAMES = ("a.jpg", "b's.jpg", 'c".jpg', *(f"{number}.jpg" for number in range(5)))


def hoi(verb: str, obj: str) -> int:
    return int(VOCABULARY.hoi_id_table[VERBS.index(verb), OBJECTS.index(obj)])


@pytest.fixture
def world():
    """A random world of 8 images whose classes are spread over the vocabulary; detections by image, then class."""
    rng = np.random.default_rng(5)
    truth, found = worlds.random_world(5, num_detections=400)
    classes = rng.permutation(VOCABULARY.num_hois)[: worlds.NUM_HOIS].astype(np.int16)
    truth = replace(truth, hoi_id=classes[truth.hoi_id])
    found = replace(found, hoi_id=classes[found.hoi_id], scores=rng.random(len(found), np.float32))
    found = found.take(np.lexsort((found.hoi_id, found.image_index)))
    sizes = np.full((8, 2), 2 * worlds.SIDE)
    rare = np.zeros(VOCABULARY.num_hois, np.bool_)
    return HicoDetAnnotations(VOCABULARY, NAMES, sizes, truth, rare), found


@pytest.mark.parametrize("form", HICODET_FORMS)
def test_nothing_is_lost_in_any_form(tmp_path, world, form):
    annotations, found = world
    path = tmp_path / f"d{HICODET_FORMS[form] or ''}"
    for _ in range(2):  # an earlier output is replaced
        write_hicodet(form, path, found, annotations, lambda: None)
    read, notes = read_hicodet(path, annotations)
    for name, column in vars(found).items():
        np.testing.assert_array_equal(getattr(read, name), column)
    rules = Rules(VOCABULARY.hoi_object_ids)
    expected = evaluate_hicodet(found, annotations.truth, rules)
    assert expected.mean_ap > 0
    np.testing.assert_array_equal(evaluate_hicodet(read, annotations.truth, rules).ap, expected.ap)
    said = {"hicodet-mat": "COCO's order", "upt-mat": "alphabetical order", "results-json": "HOI class from 0"}
    assert len(notes) == (form in said) and said.get(form, "") in "".join(notes)


def test_files_are_numbered_by_the_alphabet_as_upt_does(tmp_path, world):
    annotations, found = world
    write_hicodet(form := "upt-mat", tmp_path / form, found, annotations, lambda: None)
    cells = [loadmat(path)["all_boxes"] for path in sorted((tmp_path / form).iterdir())]
    assert [len(cell) for cell in cells] == [obj * 7 % 4 + 1 for obj in range(80)]
    row = int(np.flatnonzero(found.hoi_id == found.hoi_id[0])[0])
    verb, obj = VOCABULARY.hoi_classes[found.hoi_id[row]]
    first = cells[obj][verb, found.image_index[row]][0]
    np.testing.assert_array_equal(first[:4], found.human_boxes[row] - [0, 0, 1, 1])
    assert first[8] == found.scores[row]


def test_upt_leaves_cells_without_rows_and_float32(tmp_path):
    """As its cache_hico: float32 cells, zeros(0, 0) elsewhere."""
    for number in range(80):
        cells = np.empty((number * 7 % 4 + 1, 3), object)
        cells[:] = [[np.zeros((0, 0))] * 3] * len(cells)
        if OBJECTS[number] == "horse":
            cells[1, 2] = np.array([[0, 0, 9, 19, 1.5, 2, 3, 4, 0.25]], np.float32)
        savemat(tmp_path / f"detections_{number + 1:02d}.mat", {"all_boxes": cells})
    (tmp_path / "notes.txt").write_text("other files do not matter")
    found, order = read_hicodet_folder(tmp_path, VOCABULARY, 3, lambda: None)
    assert order == "alphabetical"
    assert (found.image_index.tolist(), found.hoi_id.tolist()) == ([2], [hoi("ride", "horse")])
    assert found.human_boxes.tolist() == [[0, 0, 10, 20]]
    assert found.object_boxes.tolist() == [[1.5, 2, 4, 5]]
    assert found.scores.tolist() == [0.25]


def first_file(folder):
    return folder / "detections_01.mat"


def cells_of(*cells):
    array = np.empty((1, len(cells)), object)
    array[0] = cells
    return {"all_boxes": array}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "detections_07.mat").unlink(), "detections_07.mat is missing"),
        (
            lambda folder: (folder / "detections_80.mat").unlink(),
            "79 files with 1, 4, 3, ... rows are in no known order",
        ),
        (lambda folder: first_file(folder).write_bytes(b"MATLAB"), "detections_01.mat: not a readable MATLAB file"),
        (lambda folder: savemat(first_file(folder), {"boxes": 1}), "detections_01.mat: all_boxes is none"),
        (
            lambda folder: savemat(first_file(folder), {"all_boxes": np.zeros((7, 11))}),
            "all_boxes is double [7, 11], as PPDM's and GEN-VLKT's converters write: give the JSON file",
        ),
        (
            lambda folder: savemat(first_file(folder), cells_of(*[np.zeros((1, 9))] * 7)),
            "all_boxes has 7 columns, expected one for each of the 8 annotated images",
        ),
        (
            lambda folder: savemat(first_file(folder), cells_of(*[np.zeros((0, 0))] * 7, np.zeros((2, 5)))),
            "detections_01.mat: all_boxes{1, 8} is float64 [2, 5]; expected cells",
        ),
        (
            lambda folder: savemat(first_file(folder), cells_of(*[np.zeros((0, 0))] * 7, np.full((1, 9), 99.0))),
            "human_boxes: box 0 is [99.0, 99.0, 100.0, 100.0], outside its image",
        ),
    ],
)
def test_a_folder_of_another_form_is_refused_in_one_line(tmp_path, world, change, message):
    annotations, found = world
    write_hicodet("upt-mat", tmp_path / "d", found.take(slice(0)), annotations, lambda: None)
    change(tmp_path / "d")
    with pytest.raises(DataError) as caught:
        read_hicodet(tmp_path / "d", annotations)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_order_that_cannot_be_told_is_refused(tmp_path):
    even = Vocabulary(OBJECTS, VERBS, tuple((verb, obj) for obj in range(80) for verb in range(2)))
    write_hicodet_mat(tmp_path / "d", worlds.detections([]), even, 1, lambda: None)
    with pytest.raises(DataError, match="the order of the files can't be told; give the detections as npz"):
        read_hicodet_folder(tmp_path / "d", even, 1, lambda: None)


PERSON, HORSE = [0.5, 0, 10, 20], [2, 3, 30, 40]


def results(tmp_path, text):
    """A file as CDN and its kin write it: text in JSON."""
    (tmp_path / "results.json").write_text(json.dumps(text))
    return tmp_path / "results.json"


def read(path):
    return read_predictions(path, VOCABULARY, NAMES)


def test_verbs_and_cocos_numbers_of_cdn(tmp_path):
    """numpy 2 writes its numbers with their type; a verb that an object has no class of is nothing in CDN either."""
    boxes = (
        "{'bbox': [np.float32(0.5), 0.0, 10.0, 20.0], 'category_id': 0}, "
        "{'bbox': [2, 3, 30, 40], 'category_id': 17}, {'bbox': [2, 3, 30, 40], 'category_id': 16}"
    )
    hois = (
        "{'subject_id': np.int64(0), 'object_id': 1, 'category_id': 1, 'score': np.float32(0.75)}, "
        "{'subject_id': 0, 'object_id': 2, 'category_id': 3, 'score': 0.5}, "
        "{'subject_id': 0, 'object_id': 1, 'category_id': 0, 'score': np.float32(1e-05)}"
    )
    entry = f"{{'filename': \"b's.jpg\", 'predictions': [{boxes}], 'hoi_prediction': [{hois}]}}"
    rest = "{'filename': 'a.jpg', 'predictions': [], 'hoi_prediction': []}"
    gts = "[{'filename': '}{', 'annotations': [], 'hoi_annotation': array([1])}]"  # never looked at
    found, notes = read(results(tmp_path, f"{{'preds': [{entry}, {rest}], 'gts': {gts}}}"))
    assert hoi("watch", "dog") == -1
    assert found.hoi_id.tolist() == [hoi("ride", "horse"), hoi("hold", "horse")]
    assert found.image_index.tolist() == [1, 1]
    assert found.scores.tolist() == pytest.approx([0.75, 1e-5])
    assert (found.human_boxes[0].tolist(), found.object_boxes[0].tolist()) == (PERSON, HORSE)  # continuous, as they are
    assert "read as the verb from 0, that of boxes as COCO's 0..79" in notes[0]
    assert notes[1].startswith("1 of 3 triplets are of no HOI class")


def entry(name="a.jpg", boxes=({"bbox": PERSON}, {"bbox": HORSE}), **changes):
    triplet = {"subject_id": 0, "object_id": 1, "category_id": 2, "score": 0.5} | changes
    return {"filename": name, "predictions": list(boxes), "hoi_prediction": [triplet]}


def test_hoi_classes_are_told_by_boxes_without_category_or_by_their_range(tmp_path):
    found, notes = read(results(tmp_path, str({"preds": [entry(category_id=100)], "gts": []})))
    assert found.hoi_id.tolist() == [100]
    assert notes[0].endswith("HOI class from 0")
    _, notes = read(results(tmp_path, str({"preds": [entry(category_id=2)]})))
    assert "if it is the verb (all are below 4), add the category_id of boxes" in notes[0]
    with_category = [{"bbox": PERSON, "category_id": 0}, {"bbox": HORSE, "category_id": 17}]
    found, _ = read(results(tmp_path, str({"preds": [entry(boxes=with_category, category_id=100)]})))
    assert found.hoi_id.tolist() == [100]


def test_ppdm_counts_from_1_in_inclusive_pixels(tmp_path):
    boxes = [{"bbox": [0, 0, 9, 19], "category_id": 1}, {"bbox": [2, 3, 29, 39], "category_id": "19\n"}]
    rows = [{"subject_id": 0, "object_id": 1, "category_id": "2\n", "score": 0.5}]
    path = tmp_path / "best_predictions.json"
    path.write_text(json.dumps([{"file_name": "0.jpg", "predictions": boxes, "hoi_prediction": rows}]))
    found, notes = read(path)
    assert (found.image_index.tolist(), found.hoi_id.tolist()) == ([3], [hoi("ride", "horse")])
    assert (found.human_boxes.tolist(), found.object_boxes.tolist()) == ([[0, 0, 10, 20]], [[2, 3, 30, 40]])
    assert "verb from 1, that of boxes as COCO's 1..90" in notes[0]


BAD_BOXES = ({"bbox": PERSON, "category_id": 0}, {"bbox": HORSE, "category_id": 90})


@pytest.mark.parametrize(
    ("preds", "message"),
    [
        ([entry("z.jpg")], "image 'z.jpg' is not among the 8 annotated images"),
        ([entry(), entry()], "image 'a.jpg' is there twice"),
        ([entry(object_id=2)], "image 'a.jpg': object_id 2 in row 0 is out of range; expected 0..1 (2 boxes)"),
        ([entry(subject_id=-1)], "subject_id -1 in row 0 is out of range"),
        ([entry(subject_id=0.5)], "an id is 0.5, no whole number"),
        ([entry(score="x")], "image 'a.jpg': could not convert string to float: 'x'"),
        ([entry(category_id=999)], "category_id 999 in row 0 is out of range"),
        ([entry(boxes=[{"bbox": [1, 2, 3]}, {"bbox": HORSE}])], "image 'a.jpg': "),
        ([entry(boxes=[{"box": PERSON}] * 2)], "no 'bbox'"),
        ([entry(boxes=BAD_BOXES)], "category_id of a box: label 90 is none of the 80 of this numbering"),
        ([entry(boxes=BAD_BOXES), entry("0.jpg")], "is the verb, and 1 of 2 object boxes have no category_id"),
        ([5], "an entry is 5; expected an entry per image"),
        ("none", "no predictions; expected an entry per image"),
        (None, "no predictions"),
    ],
)
def test_predictions_that_do_not_fit_are_one_line(tmp_path, preds, message):
    (tmp_path / "d.json").write_text(json.dumps({"preds": preds}))
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d.json")
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{'preds': [{'filename': __import__('pathlib').Path('executed').touch()}]}", "nothing else is read"),
        ("{'preds': [{'filename': [c for c in ().__class__.__base__.__subclasses__()]}]}", "nothing else is read"),
        ("{'preds': [{'filename': np.float32(open('executed', 'w'))}]}", "nothing else is read"),
        ("__import__('pathlib').Path('executed').touch()", 'no whole list "preds"'),
        ("{'preds': [{'filename': 'a.jpg', 'predictions': []", 'no whole list "preds"'),
        ("{'predictions': []}", 'no whole list "preds"'),
        ("", 'no whole list "preds"'),
    ],
)
def test_a_repr_is_never_evaluated(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        read(results(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_no_entries_are_no_detections(tmp_path):
    assert len(read(results(tmp_path, "{'preds': [], 'gts': []}"))[0]) == 0
