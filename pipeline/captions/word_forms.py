"""All forms of a dataset's verbs and the plurals of its categories, as captions hold them.

The -ing form is that of prompts (`prompts/verb_forms.py`); past forms follow from it by rule, or from a list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.core.errors import DataError
from pipeline.prompts.verb_forms import gerund

# Base, past and participle where these are not the base with -ed.
_IRREGULAR = """
    beat beat beaten, bend bent bent, bind bound bound, bite bit bitten, blow blew blown, break broke broken,
    bring brought brought, build built built, burn burnt burnt, buy bought bought, catch caught caught,
    choose chose chosen, cling clung clung, cut cut cut, deal dealt dealt, dig dug dug, do did done, draw drew drawn,
    drink drank drunk, drive drove driven, eat ate eaten, feed fed fed, feel felt felt, fight fought fought,
    find found found, fling flung flung, fly flew flown, get got gotten, give gave given, go went gone,
    grind ground ground, grow grew grown, hang hung hung, have had had, hide hid hidden, hit hit hit, hold held held,
    keep kept kept, kneel knelt knelt, lay laid laid, lead led led, lean leant leant, leap leapt leapt,
    leave left left, lie lay lain, light lit lit, lose lost lost, make made made, meet met met, pay paid paid,
    put put put, read read read, ride rode ridden, ring rang rung, rise rose risen, run ran run, saw sawed sawn,
    say said said, see saw seen, sell sold sold, send sent sent, set set set, sew sewed sewn, shake shook shaken,
    shear sheared shorn, shoot shot shot, show showed shown, shut shut shut, sing sang sung, sit sat sat,
    sleep slept slept, slide slid slid, sling slung slung, smell smelt smelt, speak spoke spoken, spend spent spent,
    spill spilt spilt, spin spun spun, spread spread spread, stand stood stood, steal stole stolen, stick stuck stuck,
    strike struck struck, swear swore sworn, sweep swept swept, swim swam swum, swing swung swung, take took taken,
    teach taught taught, tear tore torn, tell told told, throw threw thrown, wake woke woken, wear wore worn,
    weave wove woven, win won won, wind wound wound, write wrote written
"""
_PAST = {base: (past, participle) for base, past, participle in (row.split() for row in _IRREGULAR.split(","))}
_REGULAR_TOO = {"burn", "kneel", "lean", "leap", "light", "saw", "sew", "shear", "show", "smell", "spill", "hang"}
_PLURALS = {
    "child": "children", "foot": "feet", "goose": "geese", "knife": "knives", "loaf": "loaves", "man": "men",
    "mouse": "mice", "person": "people", "scarf": "scarves", "shelf": "shelves", "sheep": "sheep", "tooth": "teeth",
    "woman": "women", "policeman": "policemen", "fireman": "firemen", "businessman": "businessmen", "wife": "wives",
    "cameraman": "cameramen", "fisherman": "fishermen", "snowman": "snowmen",
}  # fmt: skip


@dataclass(frozen=True)
class VerbForms:
    """Forms of a verb's first word: `plain` can be nouns too (ride, rides), `past` (rode) and `ing` rarely are.

    `participles` are the forms of the passive; `past` holds them as well.
    """

    plain: frozenset[str]
    ing: frozenset[str]
    past: frozenset[str]
    participles: frozenset[str]

    @property
    def active(self) -> frozenset[str]:
        """All forms that a subject may have before it."""
        return self.plain | self.ing | self.past


def verb_forms(word: str) -> VerbForms:
    """Return the forms of one word in base form; a word that is no verb ("next") has itself as its only form."""
    try:
        ing = gerund(word)
    except DataError:
        return VerbForms(frozenset(), frozenset({word}), frozenset(), frozenset())
    regular = _regular_past(word, ing)
    past, participle = _PAST.get(word, (regular, regular))
    both = {regular} if word in _REGULAR_TOO else set()
    forms = frozenset({past, participle} | both) - {word}
    return VerbForms(frozenset({word, _with_s(word)}), frozenset({ing}), forms, frozenset({participle} | both))


def _regular_past(word: str, ing: str) -> str:
    if word.endswith("e"):
        return f"{word}d"
    if re.search("[^aeiou]y$", word):
        return f"{word[:-1]}ied"
    return f"{ing.removesuffix('ing')}ed"  # doubled as there: "petting", "petted"


def _with_s(word: str) -> str:
    """The third person of a verb, and the plural of a noun."""
    if re.search("[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search("(s|x|z|ch|sh|[^aeio]o)$", word) else f"{word}s"


def noun_forms(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Return a category's words as they are and in the plural, of their last word ("cell phones")."""
    *first, last = words
    plurals = {_PLURALS.get(last, _with_s(last))} | ({f"{last}s"} if last.endswith("o") else set())
    return {words} | {(*first, plural) for plural in plurals}
