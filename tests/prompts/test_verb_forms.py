import csv
import json
from pathlib import Path

import pytest

from pipeline.core.errors import DataError
from pipeline.prompts.noun_forms import article, readable
from pipeline.prompts.verb_forms import gerund
from pipeline.toyworld.vocabulary import VERBS
from tests.truth.real_ground_truth import real_ground_truth

# Written out in full, from an English dictionary and not from the rules under test.
HICODET = {
    "adjust": "adjusting", "assemble": "assembling", "block": "blocking", "blow": "blowing", "board": "boarding",
    "break": "breaking", "brush_with": "brushing with", "buy": "buying", "carry": "carrying", "catch": "catching",
    "chase": "chasing", "check": "checking", "clean": "cleaning", "control": "controlling", "cook": "cooking",
    "cut": "cutting", "cut_with": "cutting with", "direct": "directing", "drag": "dragging", "dribble": "dribbling",
    "drink_with": "drinking with", "drive": "driving", "dry": "drying", "eat": "eating", "eat_at": "eating at",
    "exit": "exiting", "feed": "feeding", "fill": "filling", "flip": "flipping", "flush": "flushing", "fly": "flying",
    "greet": "greeting", "grind": "grinding", "groom": "grooming", "herd": "herding", "hit": "hitting",
    "hold": "holding", "hop_on": "hopping on", "hose": "hosing", "hug": "hugging", "hunt": "hunting",
    "inspect": "inspecting", "install": "installing", "jump": "jumping", "kick": "kicking", "kiss": "kissing",
    "lasso": "lassoing", "launch": "launching", "lick": "licking", "lie_on": "lying on", "lift": "lifting",
    "light": "lighting", "load": "loading", "lose": "losing", "make": "making", "milk": "milking", "move": "moving",
    "no_interaction": "not interacting with", "open": "opening", "operate": "operating", "pack": "packing",
    "paint": "painting", "park": "parking", "pay": "paying", "peel": "peeling", "pet": "petting", "pick": "picking",
    "pick_up": "picking up", "point": "pointing", "pour": "pouring", "pull": "pulling", "push": "pushing",
    "race": "racing", "read": "reading", "release": "releasing", "repair": "repairing", "ride": "riding",
    "row": "rowing", "run": "running", "sail": "sailing", "scratch": "scratching", "serve": "serving",
    "set": "setting", "shear": "shearing", "sign": "signing", "sip": "sipping", "sit_at": "sitting at",
    "sit_on": "sitting on", "slide": "sliding", "smell": "smelling", "spin": "spinning", "squeeze": "squeezing",
    "stab": "stabbing", "stand_on": "standing on", "stand_under": "standing under", "stick": "sticking",
    "stir": "stirring", "stop_at": "stopping at", "straddle": "straddling", "swing": "swinging", "tag": "tagging",
    "talk_on": "talking on", "teach": "teaching", "text_on": "texting on", "throw": "throwing", "tie": "tying",
    "toast": "toasting", "train": "training", "turn": "turning", "type_on": "typing on", "walk": "walking",
    "wash": "washing", "watch": "watching", "wave": "waving", "wear": "wearing", "wield": "wielding",
    "zip": "zipping",
}  # fmt: skip
VCOCO = {
    "carry": "carrying", "catch": "catching", "cut": "cutting", "drink": "drinking", "eat": "eating", "hit": "hitting",
    "hold": "holding", "jump": "jumping", "kick": "kicking", "lay": "laying", "look": "looking", "point": "pointing",
    "read": "reading", "ride": "riding", "run": "running", "sit": "sitting", "skateboard": "skateboarding",
    "ski": "skiing", "smile": "smiling", "snowboard": "snowboarding", "stand": "standing", "surf": "surfing",
    "talk_on_phone": "talking on phone", "throw": "throwing", "walk": "walking",
    "work_on_computer": "working on computer",
}  # fmt: skip
TOYWORLD = {
    "ride": "riding", "sit_on": "sitting on", "hold": "holding", "drink_with": "drinking with", "read": "reading",
    "push": "pushing", "pet": "petting", "feed": "feeding", "walk": "walking", "look_at": "looking at",
    "lift": "lifting", "carry": "carrying", "throw": "throwing", "kick": "kicking", "stand_on": "standing on",
}  # fmt: skip
OTHERS = {
    "flee": "fleeing", "see": "seeing", "dye": "dyeing", "die": "dying", "hoe": "hoeing", "chop": "chopping",
    "swim": "swimming", "wrap": "wrapping", "play": "playing", "open_up": "opening up", "visit": "visiting",
}  # fmt: skip


@pytest.mark.parametrize("table", [HICODET, VCOCO, TOYWORLD, OTHERS], ids=["hicodet", "vcoco", "toyworld", "others"])
def test_gerunds(table):
    assert {verb: gerund(verb) for verb in table} == table


def test_the_tables_are_whole():
    assert (len(HICODET), len(VCOCO)) == (117, 26)
    assert set(TOYWORLD) == set(VERBS)


def test_the_hicodet_table_is_of_the_datasets_own_verbs():
    data = json.loads(real_ground_truth("hicodet", "instances_test2015.json").read_text())
    assert sorted(HICODET) == sorted(data["verbs"])
    vowels = {"airplane", "apple", "elephant", "orange", "oven", "umbrella"}
    assert {name for name in data["objects"] if article(readable(name)) == "an"} == vowels


def test_common_verbs():
    with (Path(__file__).parent / "common_verbs.csv").open(encoding="utf-8") as stream:
        expected = {row["verb"]: row["ing_form"] for row in csv.DictReader(stream)}
    assert len(expected) > 700
    assert {verb: gerund(verb) for verb in expected} == expected


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
