from __future__ import annotations

import json

import pytest

from pipeline.captions.matching import CaptionMatcher
from pipeline.captions.synonyms import Synonyms
from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary

WORLD = Vocabulary(("person", "bicycle", "glass"), ("ride", "look obj", "watch"), ((0, 1), (1, 1), (2, 1), (1, 2)))


def of(tmp_path, data) -> Synonyms:
    path = tmp_path / "synonyms.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return Synonyms.of(WORLD, path)


def test_a_users_words_stand_beside_those_of_the_project(tmp_path):
    own = of(tmp_path, {"objects": {"Bicycle": ["two-wheeler", "velo"]}, "verbs": {"ride": ["mount up on"]}})
    matcher = CaptionMatcher(WORLD, own)
    for caption in ("a man rides a velo", "a man mounted up on a bike", "two women riding two wheelers"):
        assert matcher.hoi_ids(caption) == {0}, caption
    assert CaptionMatcher(WORLD, Synonyms.of(WORLD, None)).hoi_ids("a man rides a velo") == set()


def test_a_name_of_the_vocabulary_is_no_synonym_of_another():
    known = Synonyms.of(WORLD, None)
    assert "watch" not in known.verbs["look"] and "stare" in known.verbs["look"]
    assert known.objects["glass"] == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"objects": {"bycicle": ["bike"]}},
            r'no category "bycicle" in the vocabulary, did you mean "bicycle"\?; expec',
        ),
        (
            {"verbs": {"rid": ["mount"]}},
            r'no verb "rid" in the vocabulary, did you mean "ride"\?; expected one of its 3',
        ),
        ({"object": {}}, r"not a file of synonyms \(found 'object'\); expected \{\"objects\""),
        (["bike"], "not a file of synonyms"),
        ({"verbs": {"ride": "mount"}}, r"\"ride\" has 'mount'; expected a list of words"),
        ({"verbs": {"ride": [" "]}}, "expected a list of words"),
        ('{"verbs": ', "not JSON, at line 1"),
    ],
)
def test_a_file_of_another_form_or_of_unknown_names_is_refused(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        of(tmp_path, data)
    with pytest.raises(DataError, match="cannot be read"):
        Synonyms.of(WORLD, tmp_path / "none.json")
