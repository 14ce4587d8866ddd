"""The official MATLAB files, written here in their form: struct arrays with 1-based ids and inclusive boxes."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from pipeline.core.errors import DataError
from pipeline.truth.hicodet_annotations import read_hicodet_json
from pipeline.truth.hicodet_mat import read_hicodet_mat, with_image_labels
from tests.truth.real_ground_truth import real_ground_truth
from tests.truth.test_hicodet_annotations import SMALL

ACTIONS = [("ride", "bicycle"), ("hug", "person"), ("hold", "bicycle")]


def structs(rows: list[dict]) -> np.ndarray:
    """A 1 x n MATLAB struct array."""
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]] if rows else object)
    for column, row in enumerate(rows):
        array[0, column] = tuple(row.values())
    return array


def boxes(corners: list) -> np.ndarray:
    return structs([{"x1": float(a), "x2": float(c), "y1": float(b), "y2": float(d)} for a, b, c, d in corners])


def interaction(hoi: int, humans=(), objects=(), connection=(), invisible: int = 0) -> dict:
    return {
        "id": float(hoi),
        "bboxhuman": boxes(list(humans)) if humans else np.zeros((0, 0)),
        "bboxobject": boxes(list(objects)) if objects else np.zeros((0, 0)),
        "connection": np.array(connection, dtype=float).reshape(-1, 2),
        "invis": float(invisible),
    }


def image(name: str, interactions: list[dict], width: int = 64, height: int = 48) -> dict:
    size = {"width": float(width), "height": float(height), "depth": 3.0}
    return {"filename": name, "size": size, "hoi": structs(interactions)}


def actions(names) -> np.ndarray:
    return structs([{"nname": noun, "vname": verb, "vname_ing": verb + "ing"} for verb, noun in names]).T


TRAIN = [image(f"train{i}.jpg", [interaction(1, [(1, 1, 5, 5)], [(2, 2, 9, 9)], [(1, 1)])]) for i in range(10)]
TEST = [
    image(
        "test0.jpg",
        [
            interaction(2, [(1, 1, 10, 20), (3, 3, 6, 6)], [(3, 4, 30, 40)], [(2, 1), (1, 1)]),
            interaction(3, [(1, 1, 5, 5)], [(2, 2, 9, 9)], [(1, 1)], invisible=1),  # boxes that nobody may see
        ],
    ),
    image("test1.jpg", [interaction(1, invisible=1)], 30, 20),
]


def write_boxes(tmp_path, test=TEST, train=TRAIN, names=ACTIONS):
    path = tmp_path / "anno_bbox.mat"
    savemat(path, {"bbox_train": structs(train), "bbox_test": structs(test), "list_action": actions(names)})
    return path


@pytest.fixture
def bbox_file(tmp_path):
    return write_boxes(tmp_path)


def label_file(tmp_path, labels, names=("test0.jpg", "test1.jpg")):
    path = tmp_path / "anno.mat"
    cells = np.array(names, dtype=object).reshape(-1, 1)
    savemat(path, {"anno_test": np.array(labels, dtype=float), "list_test": cells})
    return path


def test_visible_pairs_follow_the_connections_and_all_images_stay(bbox_file):
    annotations = read_hicodet_mat(bbox_file, "test")
    assert annotations.filenames == ("test0.jpg", "test1.jpg")
    assert annotations.sizes.tolist() == [[64, 48], [30, 20]]
    assert annotations.truth.hoi_id.tolist() == [1, 1]  # nothing invisible
    assert annotations.truth.image_index.tolist() == [0, 0]
    assert annotations.truth.human_boxes.tolist() == [[2, 2, 6, 6], [0, 0, 10, 20]]
    assert annotations.truth.object_boxes.tolist() == [[2, 3, 30, 40]] * 2


def test_vocabulary_is_alphabetical_and_classes_keep_their_order(bbox_file):
    vocabulary = read_hicodet_mat(bbox_file, "test").vocabulary
    assert vocabulary.objects == ("bicycle", "person")
    assert vocabulary.verbs == ("hold", "hug", "ride")
    assert [vocabulary.hoi_name(h) for h in range(3)] == ["ride bicycle", "hug person", "hold bicycle"]


def test_rare_classes_have_fewer_than_ten_training_pairs(bbox_file):
    assert read_hicodet_mat(bbox_file, "test").rare.tolist() == [False, True, True]
    assert len(read_hicodet_mat(bbox_file, "train")) == 10


def test_image_level_labels(bbox_file, tmp_path):
    labels = label_file(tmp_path, [[-1, 1], [1, 0], [1, float("nan")]])
    annotations = read_hicodet_mat(bbox_file, "test", labels)
    assert annotations.truth.image_hois.mask().tolist() == [[False, True, True], [True, False, False]]
    assert [label.hoi_ids.tolist() for label in annotations.image_labels()] == [[1, 2], [0]]


def test_image_level_labels_of_the_json_form(tmp_path):
    """Images are found by name: the two files need not agree in their order."""
    (tmp_path / "form.json").write_text(json.dumps(SMALL))
    annotations = read_hicodet_json(tmp_path / "form.json")  # HOI classes 2 and 0 in a.jpg, none in b.jpg
    labels = label_file(tmp_path, [[0, 0, 1], [1, 0, 1], [0, 0, 1]], ("b.jpg", "c.jpg", "a.jpg"))
    found = with_image_labels(annotations, "test", labels)
    assert found.truth.image_hois.mask().tolist() == [[True, True, True], [False, True, False]]
    other = label_file(tmp_path, [[0, 1], [1, 0], [0, 1]], ("a.jpg", "b.jpg"))
    with pytest.raises(DataError, match=r'"a.jpg" shows "ride person", but is labeled with no .* of that object'):
        with_image_labels(annotations, "test", other)


def test_a_human_category_of_another_name(tmp_path):
    names = [(verb, "human" if noun == "person" else noun) for verb, noun in ACTIONS]
    assert read_hicodet_mat(write_boxes(tmp_path, names=names), "test").vocabulary.human == "human"


def test_vocabulary_equals_the_json_form(tmp_path):
    expected = read_hicodet_json(real_ground_truth("hicodet", "instances_test2015.json")).vocabulary
    names = [(expected.verbs[verb], expected.objects[obj]) for verb, obj in expected.hoi_classes]
    assert read_hicodet_mat(write_boxes(tmp_path, names=names), "test").vocabulary == expected


def test_other_releases_are_refused(bbox_file, tmp_path):
    labels = label_file(tmp_path, np.ones((3, 2)))
    with pytest.raises(DataError, match=r"bbox_train, bbox_test, list_action missing; expected anno_bbox\.mat"):
        read_hicodet_mat(labels, "test")
    with pytest.raises(DataError, match="anno_test, list_test missing"):
        read_hicodet_mat(bbox_file, "test", bbox_file)
    with pytest.raises(DataError, match=r"anno_test is \(2, 2\), expected \(3, 2\)"):
        read_hicodet_mat(bbox_file, "test", label_file(tmp_path, np.ones((2, 2))))
    with pytest.raises(DataError, match=r'list_test has no image "test1.jpg"'):
        read_hicodet_mat(bbox_file, "test", label_file(tmp_path, np.ones((3, 2)), ("test0.jpg", "other.jpg")))


OLD = [{"filename": "a.jpg", "boxes": 1.0}]


def one_pair(hoi: int, connection) -> list[dict]:
    return [image("a.jpg", [interaction(hoi, [(1, 1, 5, 5)], [(2, 2, 9, 9)], [connection])])]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({"train": OLD, "test": OLD}, "unexpected structure .* release 20160224"),
        *(({"test": one_pair(2, rows)}, "unexpected structure") for rows in ((0, 1), (1, -1), (2, 1))),  # to no box
        *(({"test": one_pair(hoi, (1, 1))}, rf"HOI id {hoi - 1} is unknown; expected 0\.\.2") for hoi in (4, 70_000)),
    ],
)
def test_another_structure_is_refused(tmp_path, images, message):
    with pytest.raises(DataError, match=message):
        read_hicodet_mat(write_boxes(tmp_path, **images), "test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable MATLAB file"),
        (b"not a matlab file at all", "not a readable MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400), "not a readable MATLAB file"),
        ("truncated", r"anno_bbox\.mat: "),
        (None, "does not exist"),
    ],
)
def test_unreadable_files_are_refused_in_one_line(bbox_file, content, message):
    whole = bbox_file.read_bytes()
    bbox_file.unlink()
    if content is not None:
        bbox_file.write_bytes(whole[:-500] if content == "truncated" else content)
    with pytest.raises(DataError, match=message) as error:
        read_hicodet_mat(bbox_file, "test")
    assert "\n" not in str(error.value)
