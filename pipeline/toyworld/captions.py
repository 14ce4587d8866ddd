"""Captions of scenes: templates, and the words that the CLIP of the synthetic world knows.

A caption knows the HOI classes that it claims. One without colors or idle objects is "generic": true of every image
that shows these classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from pipeline.toyworld.palette import COLORS
from pipeline.toyworld.scenes import Scene
from pipeline.toyworld.vocabulary import OBJECTS, VERB_FORMS, VERBS, toyworld_vocabulary

GERUNDS = {verb: gerund for verb, (gerund, _) in VERB_FORMS.items()}
THIRD_PERSON = {verb: third for verb, (_, third) in VERB_FORMS.items()}
# Subjects and openings that captions vary; {} of an opening takes a clause.
SUBJECTS = ("a person", "someone", "a human", "one person", "the person")
OPENINGS = (
    "{}",
    "a photo of {}",
    "an image of {}",
    "a picture of {}",
    "a drawing of {}",
    "there is {}",
    "the scene shows {}",
)
# Words that no caption needs but a prompt template may; the token table keeps a row for each.
RESERVE = (
    "this is the photo image picture scene of a an one some man woman people human being interacting with not no and "
    "is are in at on near next to by while wearing shirt hat background good bad small large close up view we see "
    "shows showing interaction action doing does using object thing, . : ; - ' \" ? ! _"
)


@dataclass(frozen=True)
class Caption:
    """A text, the HOI classes that it claims, and whether it is true of every image that holds them."""

    text: str
    hoi_ids: tuple[int, ...]
    generic: bool


def with_article(noun: str) -> str:
    """Return "a noun" or "an noun"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def canonical_prompt(hoi_id: int) -> str:
    """Return "a person {verb-ing} a/an {object}" of an HOI class."""
    vocabulary = toyworld_vocabulary()
    verb_id, object_id = vocabulary.hoi_classes[hoi_id]
    return f"a person {GERUNDS[vocabulary.verbs[verb_id]]} {with_article(vocabulary.objects[object_id])}"


def canonical_prompts() -> list[str]:
    """The canonical prompt of each HOI class, in vocabulary order."""
    return [canonical_prompt(hoi_id) for hoi_id in range(toyworld_vocabulary().num_hois)]


def caption_scene(scene: Scene, random: Random) -> Caption:
    """Draw a caption of one interacting pair, or of two, of a scene that has at least one.

    Canonical prompts are two fifths of all, the rest vary in subject, opening, colors, second clause and idle things.
    """
    pairs = scene.pairs
    random.shuffle(pairs)
    first, *others = pairs
    if random.random() < 0.4:
        hoi_id = random.choice(_classes_of(scene, first))
        return Caption(canonical_prompt(hoi_id), (hoi_id,), True)
    colored = random.random() < 0.4
    opening = random.choice(OPENINGS)
    finite = opening == "{}" and random.random() < 0.5
    text, hoi_id = _clause(scene, first, random, colored=colored, finite=finite)
    text = opening.format(text)
    if others and random.random() < 0.45:
        second, second_id = _clause(scene, others[0], random, colored=colored, finite=finite)
        return Caption(f"{text} and {second}", (hoi_id, second_id), not colored)
    idle = _idle_object(scene, random)
    if idle is not None and random.random() < 0.25:
        place = random.choice(("near", "next to", "and"))
        return Caption(f"{text} {place} {with_article(idle)}", (hoi_id,), False)
    return Caption(text, (hoi_id,), not colored)


def _classes_of(scene: Scene, pair: tuple[int, int]) -> list[int]:
    rows = (scene.human_index == pair[0]) & (scene.object_index == pair[1])
    return [int(hoi_id) for hoi_id in scene.hoi_id[rows]]


def _clause(scene: Scene, pair: tuple[int, int], random: Random, *, colored: bool, finite: bool) -> tuple[str, int]:
    """One pair as "a person in a red shirt riding a blue bicycle", or, finite, "a person rides a bicycle"."""
    vocabulary = toyworld_vocabulary()
    hoi_id = random.choice(_classes_of(scene, pair))
    verb_id, object_id = vocabulary.hoi_classes[hoi_id]
    verb, noun = vocabulary.verbs[verb_id], vocabulary.objects[object_id]
    subject = random.choice(SUBJECTS) if random.random() < 0.4 else SUBJECTS[0]
    if colored:
        if random.random() < 0.5:
            subject = f"{subject} in {with_article(scene.colors[pair[0]])} shirt"
        if random.random() < 0.7:
            noun = f"{scene.colors[pair[1]]} {noun}"
    form = THIRD_PERSON[verb] if finite else GERUNDS[verb]
    return f"{subject} {form} {with_article(noun)}", hoi_id


def _idle_object(scene: Scene, random: Random) -> str | None:
    """Name an object without an interaction, or None."""
    used = set(scene.object_index.tolist())
    idle = [row for row in np.flatnonzero(scene.object_ids).tolist() if row not in used]
    return OBJECTS[int(scene.object_ids[random.choice(idle)])] if idle else None


def known_texts() -> list[str]:
    """Texts that together hold every token the synthetic world's CLIP knows: its captions' and a reserve."""
    verbs = [verb.replace("_", " ") for verb in VERBS]
    forms = [*verbs, *GERUNDS.values(), *THIRD_PERSON.values()]
    return [*canonical_prompts(), *forms, *OBJECTS, *COLORS, *SUBJECTS, *OPENINGS, RESERVE]
