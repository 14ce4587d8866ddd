"""The vocabulary of the synthetic world: 9 object categories (the person among them), 15 verbs, 40 HOI classes."""

from __future__ import annotations

from pipeline.core.vocabulary import Vocabulary

OBJECTS = ("person", "bicycle", "horse", "ball", "cup", "chair", "box", "dog", "book")

VERBS = (
    "ride",
    "sit_on",
    "hold",
    "drink_with",
    "read",
    "push",
    "pet",
    "feed",
    "walk",
    "look_at",
    "lift",
    "carry",
    "throw",
    "kick",
    "stand_on",
)

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
