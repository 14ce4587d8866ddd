"""The vocabulary of the synthetic world: 9 object categories (the person among them), 15 verbs, 40 HOI classes."""

from __future__ import annotations

from pipeline.core.vocabulary import Vocabulary

OBJECTS = ("person", "bicycle", "horse", "ball", "cup", "chair", "box", "dog", "book")

# Each verb with its forms in captions: "a person is riding", "a person rides".
VERB_FORMS = {
    "ride": ("riding", "rides"),
    "sit_on": ("sitting on", "sits on"),
    "hold": ("holding", "holds"),
    "drink_with": ("drinking with", "drinks with"),
    "read": ("reading", "reads"),
    "push": ("pushing", "pushes"),
    "pet": ("petting", "pets"),
    "feed": ("feeding", "feeds"),
    "walk": ("walking", "walks"),
    "look_at": ("looking at", "looks at"),
    "lift": ("lifting", "lifts"),
    "carry": ("carrying", "carries"),
    "throw": ("throwing", "throws"),
    "kick": ("kicking", "kicks"),
    "stand_on": ("standing on", "stands on"),
}
VERBS = tuple(VERB_FORMS)

# 3 to 6 verbs an object, so that a class can't be read off the object.
VERBS_OF_OBJECT = {
    "bicycle": ("ride", "sit_on", "push", "hold", "lift", "look_at"),
    "horse": ("ride", "sit_on", "pet", "feed", "walk", "look_at"),
    "ball": ("hold", "throw", "kick", "sit_on", "lift", "look_at"),
    "cup": ("drink_with", "hold", "look_at"),
    "chair": ("sit_on", "stand_on", "push", "lift"),
    "box": ("carry", "lift", "push", "sit_on", "stand_on", "kick"),
    "dog": ("pet", "feed", "walk", "carry", "hold", "look_at"),
    "book": ("read", "hold", "throw"),
}


def toyworld_vocabulary() -> Vocabulary:
    """Return the vocabulary; HOI classes are grouped by object, in the order of `VERBS_OF_OBJECT`."""
    pairs = tuple((VERBS.index(verb), OBJECTS.index(name)) for name, verbs in VERBS_OF_OBJECT.items() for verb in verbs)
    return Vocabulary(objects=OBJECTS, verbs=VERBS, hoi_classes=pairs)
