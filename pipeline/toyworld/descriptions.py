"""Captions of scenes as people might write them: they leave things out, and now and then they are wrong.

These are what image-level labels from captions are measured on; those of the CLIP's corpus are in `captions.py`.
"""

from __future__ import annotations

from random import Random

from pipeline.toyworld.captions import caption_scene, with_article
from pipeline.toyworld.scenes import Scene
from pipeline.toyworld.vocabulary import OBJECTS, VERB_FORMS, VERBS, VERBS_OF_OBJECT, toyworld_vocabulary

NUMBERS = (0, 1, 1, 2, 2, 2, 3)  # captions of an image: each as likely
# Shares of captions that name things alone, that name another verb of the object, and that are in the passive.
VAGUE, WRONG, PASSIVE = 0.15, 0.05, 0.15
_PARTICIPLES = {
    "ride": "ridden", "sit_on": "sat on", "hold": "held", "drink_with": "drunk from", "read": "read", "push": "pushed",
    "pet": "petted", "feed": "fed", "walk": "walked", "look_at": "looked at", "lift": "lifted", "carry": "carried",
    "throw": "thrown", "kick": "kicked", "stand_on": "stood on",
}  # fmt: skip


def describe_scene(scene: Scene, random: Random) -> list[str]:
    """Draw captions of a scene, none to three; each names one or two of its interactions, or fails to."""
    return [_caption(scene, random) for _ in range(random.choice(NUMBERS))]


def _caption(scene: Scene, random: Random) -> str:
    kind = random.random()
    if kind >= VAGUE + WRONG + PASSIVE:
        return caption_scene(scene, random).text
    verb_id, object_id = toyworld_vocabulary().hoi_classes[int(random.choice(scene.hoi_id.tolist()))]
    verb, noun = VERBS[verb_id], OBJECTS[object_id]
    if kind < VAGUE:
        return random.choice(("a person and {}", "someone with {}", "{} and a person")).format(with_article(noun))
    if kind < VAGUE + WRONG:
        other = random.choice([name for name in VERBS_OF_OBJECT[noun] if name != verb])
        return f"a person {VERB_FORMS[other][0]} {with_article(noun)}"
    return f"{with_article(noun)} being {_PARTICIPLES[verb]} by someone"
