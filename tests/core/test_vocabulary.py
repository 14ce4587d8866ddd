import json

import pytest

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary


def test_json_round_trip_names_rather_than_numbers(vocabulary):
    data = json.loads(json.dumps(vocabulary.to_json()))
    assert data["hoi_classes"] == [["ride", "bicycle"], ["hold", "bicycle"], ["hold", "cup"], ["drink_with", "cup"]]
    assert Vocabulary.from_json(data) == vocabulary


def test_a_detectors_person_is_the_human_whatever_its_name(vocabulary):
    assert vocabulary.object_id_by_name["person"] == 0
    other = Vocabulary(("dining_table", "human"), ("hold",), ((0, 0),), human="human")
    assert other.object_id_by_name == {"dining table": 0, "human": 1, "person": 1}
    both = Vocabulary(("person", "human"), ("hold",), ((0, 0),), human="human")
    assert both.object_id_by_name == {"person": 0, "human": 1}


def test_tables(vocabulary):
    assert (vocabulary.num_verbs, vocabulary.num_objects, vocabulary.num_hois) == (3, 4, 4)
    assert vocabulary.human_object_id == 0
    assert vocabulary.hoi_verb_ids.tolist() == [0, 1, 1, 2]
    assert vocabulary.hoi_object_ids.tolist() == [1, 1, 2, 2]
    assert vocabulary.hoi_id_table.tolist() == [[-1, 0, -1, -1], [-1, 1, 2, -1], [-1, -1, 3, -1]]
    assert vocabulary.hoi_name(3) == "drink_with cup"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"verbs": ("ride", "ride")}, "verbs holds 'ride' twice"),
        ({"objects": ("person", "cup", "cup")}, "objects holds 'cup' twice"),
        ({"hoi_classes": ((0, 1), (0, 1))}, r"hoi_classes holds \(0, 1\) twice"),
        ({"human": "people"}, '"people" is not among the 2 objects'),
        ({"hoi_classes": ((1, 0),)}, r"\(1, 0\) is out of range; expected verb < 1, object < 2"),
        ({"hoi_classes": ((0, -1),)}, r"\(0, -1\) is out of range"),
    ],
)
def test_inconsistent_vocabularies_are_refused(changes, part):
    whole = {"objects": ("person", "cup"), "verbs": ("hold",), "hoi_classes": ((0, 1),)}
    Vocabulary(**whole)
    with pytest.raises(DataError, match=part):
        Vocabulary(**{**whole, **changes})


@pytest.mark.parametrize(
    "damage", [{"human": None}, {"verbs": None}, {"hoi_classes": [["fly", "cup"]]}, {"hoi_classes": [["hold"]]}]
)
def test_damaged_json_is_refused(vocabulary, damage):
    with pytest.raises(DataError, match="vocabulary"):
        Vocabulary.from_json({**vocabulary.to_json(), **damage})
    data = vocabulary.to_json()
    del data["objects"]
    with pytest.raises(DataError, match="'objects'"):
        Vocabulary.from_json(data)
    with pytest.raises(DataError, match="vocabulary"):
        Vocabulary.from_json([])
