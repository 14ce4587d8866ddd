import csv
import json
from pathlib import Path

import pytest

from pipeline.core.errors import DataError
from pipeline.prompts.noun_forms import article, readable
from pipeline.prompts.verb_forms import gerund
from pipeline.toyworld.vocabulary import VERBS
from tests.truth.real_ground_truth import real_ground_truth

# From an English dictionary, not from the rules under test.
with (Path(__file__).parent / "common_verbs.csv").open(encoding="utf-8") as stream:
    COMMON = {row["verb"]: row["ing_form"] for row in csv.DictReader(stream)}
VCOCO = (
    "carry", "catch", "cut", "drink", "eat", "hit", "hold", "jump", "kick", "lay", "look", "point", "read", "ride",
    "run", "sit", "skateboard", "ski", "smile", "snowboard", "stand", "surf", "talk_on_phone", "throw", "walk",
    "work_on_computer",
)  # fmt: skip


def test_common_verbs():
    assert len(COMMON) > 700
    assert {verb: gerund(verb) for verb in COMMON} == COMMON


def in_words(verb: str) -> str:
    """The -ing form by the dictionary: that of the first word, then the others."""
    first, *rest = verb.split("_")
    return " ".join([COMMON[first], *rest])


@pytest.mark.parametrize("verbs", [VCOCO, VERBS], ids=["vcoco", "toyworld"])
def test_the_verbs_of_a_dataset(verbs):
    assert {verb: gerund(verb) for verb in verbs} == {verb: in_words(verb) for verb in verbs}


def test_the_verbs_and_objects_of_hicodet():
    data = json.loads(real_ground_truth("hicodet", "instances_test2015.json").read_text())
    verbs = set(data["verbs"]) - {"no_interaction"}
    assert len(verbs) == 116
    assert {verb: gerund(verb) for verb in verbs} == {verb: in_words(verb) for verb in verbs}
    vowels = {"airplane", "apple", "elephant", "orange", "oven", "umbrella"}
    assert {name for name in data["objects"] if article(readable(name)) == "an"} == vowels


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("get on", "getting on"), ("grab", "grabbing"), ("canoe", "canoeing"), ("untie", "untying"),
        ("sit on", "sitting on"), ("sit-on", "sitting on"), ("talk-on-phone", "talking on phone"),
        ("riding", "riding"), ("sitting_on", "sitting on"), ("bring", "bringing"), ("restring", "restringing"),
        ("no interaction", "not interacting with"), ("No-Interaction", "not interacting with"),
        ("Ride", "riding"), ("SIT_ON", "sitting ON"), ("hold t-shirt", "holding t-shirt"), ("text_2", "texting 2"),
        ("dry-clean", "dry-cleaning"), ("high_five", "high fiving"), ("high five with", "high fiving with"),
        ("tie-dye", "tie-dyeing"), ("x-ray", "x-raying"), ("re-tie", "re-tying"), ("hold-cup", "holding cup"),
        ("feed", "feeding"), ("shred", "shredding"), ("kiss", "kissing"), ("focus", "focusing"), ("gas", "gassing"),
        ("find", "finding"), ("saw", "sawing"), ("birdie", "birdieing"), ("sync", "syncing"), ("gym", "gymming"),
    ],
)  # fmt: skip
def test_other_spellings_and_other_forms(verb, form):
    assert gerund(verb) == form


@pytest.mark.parametrize(
    ("verb", "part"),
    [
        ("next to", '"next" is no verb'), ("in_front_of", '"in" is no verb'), ("on", '"on" is no verb'),
        ("is holding", '"is" is no verb'), ("under-table", '"under" is no verb'), ("Above", '"Above" is no verb'),
        ("holds", "is no base form"), ("wears", "is no base form"), ("has", '"has" is no verb'),
        ("parked on", '"parked" is a past form'), ("held", '"held" is a past form'), ("fed", "is a past form"),
        ("hold (cup)", "expected letters"), ("sit/stand", "expected letters"), ("3d print", "expected letters"),
        ("", "expected letters"), ("_", "expected letters"), ("骑", "can't be spelled"), ("brr", "can't be spelled"),
        ("sitOn", "can't be spelled"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_verb_is_refused(verb, part):
    with pytest.raises(DataError) as caught:
        gerund(verb)
    assert part in str(caught.value)
