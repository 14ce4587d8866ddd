from __future__ import annotations

import pytest

from pipeline.captions.word_forms import noun_forms, verb_forms


@pytest.mark.parametrize(
    ("verb", "active", "participles"),
    [
        ("ride", "ride rides riding rode ridden", "ridden"),
        ("sit", "sit sits sitting sat", "sat"),
        ("carry", "carry carries carrying carried", "carried"),
        ("pet", "pet pets petting petted", "petted"),
        ("hold", "hold holds holding held", "held"),
        ("cut", "cut cuts cutting", "cut"),
        ("wash", "wash washes washing washed", "washed"),
        ("catch", "catch catches catching caught", "caught"),
        ("lie", "lie lies lying lay lain", "lain"),
        ("play", "play plays playing played", "played"),
        ("tie", "tie ties tying tied", "tied"),
        ("light", "light lights lighting lit lighted", "lit lighted"),
        ("park", "park parks parking parked", "parked"),
        ("fly", "fly flies flying flew flown", "flown"),
        ("next", "next", ""),  # "next to" is no verb: only as it stands
    ],
)
def test_all_forms_of_a_verb(verb, active, participles):
    forms = verb_forms(verb)
    assert forms.active == set(active.split())
    assert forms.participles == set(participles.split())


@pytest.mark.parametrize(
    ("name", "plurals"),
    [
        ("horse", {"horses"}),
        ("person", {"people"}),
        ("knife", {"knives"}),
        ("sandwich", {"sandwiches"}),
        ("bus", {"buses"}),
        ("mouse", {"mice"}),
        ("sheep", {"sheep"}),
        ("cell phone", {"cell phones"}),
        ("puppy", {"puppies"}),
        ("toy", {"toys"}),
    ],
)
def test_plurals_of_a_name(name, plurals):
    words = tuple(name.split())
    assert noun_forms(words) == {words} | {tuple(plural.split()) for plural in plurals}
