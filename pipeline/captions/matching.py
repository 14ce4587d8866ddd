"""Which HOI classes a caption names: a verb and an object where one goes with the other.

A rule over words, without a parser; docs/weak_labels.md states it for users:
- Names and synonyms, singular and plural, the longest first ("hot dog" is no dog). A verb's first word in any form,
  then its other words, at most four words apart ("sit on": "sat quietly on").
- Active: the first object after the verb, with at most six words and no end of the clause between, and those that
  "and", "or" or a comma adds to it. Verbs that "and" joins share their objects ("washing and brushing a dog").
- Passive: an object before a participle, with a form of "be" before it or "by" after it ("a bicycle is being ridden").
- Not: behind "not", "without" or "instead of"; where what stands before the verb are objects and no person ("a dog
  catches a frisbee"); a plain form that stands as a noun ("a park bench", "a ride").
- "no interaction" is never named. An instrument of V-COCO ("cut instr") may stand behind "with" or "using".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.captions.synonyms import Synonyms
from pipeline.captions.word_forms import VerbForms, noun_forms, verb_forms
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.templates import INSTRUMENT, OBJECT, verb_key, without_role
from pipeline.prompts.verb_lists import words

_SENTENCE_END = re.compile(r"[.;:!?\n]+")
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|,")
_SAME = {"onto": "on", "upon": "on", "atop": "on", "&": "and"}
_PARTICLE_GAP, _OBJECT_GAP, _PASSIVE_GAP, _NEGATION_GAP = 4, 6, 4, 3  # words
_JOIN = frozenset({"and", "or", ","})
_MEANS = frozenset({"with", "using"})
_ENDS = words(
    """
    while as but when where because before after near beside besides behind under below beneath above between among
    outside inside along across around by against toward towards during next front who which that until , with using
    """
)
_BE = words("is are was were be been being gets getting got get")
_AUXILIARY = _BE | words("has have had that which just still also currently")
_NEGATION = words("not no without never cannot")
_BEFORE_NOUN = words(
    """
    a an the his her its their my your our this these those some any each every another one two three of in on at with
    for by from into near
    """
)
_BEFORE_VERB = words("to who can will would does do did and then")


@dataclass(frozen=True)
class _Pattern:
    """One way to say a verb: forms of its first word, and the words behind it."""

    verb_ids: tuple[int, ...]
    forms: VerbForms
    rest: tuple[str, ...]


@dataclass(frozen=True)
class _Mention:
    """Words start..stop of a sentence that name a category."""

    start: int
    stop: int
    object_ids: frozenset[int]


class CaptionMatcher:
    """Finds the classes of one vocabulary in captions."""

    def __init__(self, vocabulary: Vocabulary, synonyms: Synonyms) -> None:
        self._human = vocabulary.human_object_id
        self._classes = vocabulary.hoi_id_table
        self._names: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
        for object_id, name in enumerate(vocabulary.objects):
            key = verb_key(name)
            for text in (key, *synonyms.objects[key]):
                for name_words in noun_forms(tuple(text.replace("-", " ").split())):
                    self._names[name_words].add(object_id)
        self._longest = max(map(len, self._names))
        self._patterns: defaultdict[str, list[_Pattern]] = defaultdict(list)
        for pattern in _patterns(vocabulary, synonyms):
            for form in pattern.forms.active | pattern.forms.participles:
                self._patterns[form].append(pattern)
        self._is_instrument = [verb.endswith(INSTRUMENT) for verb in vocabulary.verbs]
        by_name = {verb: verb_id for verb_id, verb in enumerate(vocabulary.verbs)}
        self._direct_of = [by_name.get(without_role(verb) + OBJECT, -1) for verb in vocabulary.verbs]

    def hoi_ids(self, caption: str) -> set[int]:
        """Return the HOI classes that a caption names."""
        found: set[int] = set()
        for sentence in _SENTENCE_END.split(caption.lower().replace("\u2019", "'")):
            tokens = [_SAME.get(token, token) for token in _TOKEN.findall(sentence.replace("&", " and "))]
            found |= self._of_sentence(tokens)
        return found

    def _of_sentence(self, tokens: list[str]) -> set[int]:
        mentions = list(self._mentions(tokens))
        inside = {row for mention in mentions for row in range(mention.start, mention.stop)}
        verbs = {row for row, token in enumerate(tokens) if row not in inside and self._is_verb(tokens, row, mentions)}
        at = {mention.start: mention for mention in mentions}
        found: set[int] = set()
        for row in sorted(verbs):
            for pattern in self._patterns[tokens[row]]:
                if _is_negated(tokens, row) or (stop := _end_of_phrase(tokens, row, pattern.rest)) is None:
                    continue
                if tokens[row] in pattern.forms.participles:
                    found |= self._passive(tokens, row, stop, pattern, mentions)
                if tokens[row] in pattern.forms.active and self._has_human_subject(row, mentions):
                    found |= self._active(tokens, row, stop, pattern, at, verbs)
        return found

    def _mentions(self, tokens: list[str]) -> Iterator[_Mention]:
        """Categories from left to right, the longest name first."""
        row, last_human = 0, -2
        while row < len(tokens):
            for length in range(min(self._longest, len(tokens) - row), 0, -1):
                ids = self._names.get(tuple(tokens[row : row + length]))
                if ids and not (length == 1 and self._reads_as_verb(tokens, row, last_human)):
                    yield _Mention(row, row + length, frozenset(ids))
                    row += length
                    last_human = row - 1 if self._human in ids else last_human
                    break
            else:
                row += 1

    def _reads_as_verb(self, tokens: list[str], row: int, last_human: int) -> bool:
        """Whether a category's name is a verb here: "a man trains a dog", not "a man and two trains"."""
        if not any(tokens[row] in pattern.forms.plain for pattern in self._patterns.get(tokens[row], ())):
            return False
        return row > 0 and (last_human == row - 1 or tokens[row - 1] in _BEFORE_VERB - {"and"})

    def _is_verb(self, tokens: list[str], row: int, mentions: list[_Mention]) -> bool:
        patterns = self._patterns.get(tokens[row])
        if not patterns:
            return False
        if all(tokens[row] not in pattern.forms.plain for pattern in patterns):
            return True
        if row == 0 or tokens[row - 1] in _BEFORE_VERB:
            return True
        behind_name = any(mention.stop == row for mention in mentions)
        two_before = tokens[row - 2] if row > 1 and not behind_name else ""
        return tokens[row - 1] not in _BEFORE_NOUN and two_before not in _BEFORE_NOUN

    def _has_human_subject(self, row: int, mentions: list[_Mention]) -> bool:
        """Whether a person stands before the verb, or nothing that could act in place of one."""
        before = [mention for mention in mentions if mention.stop <= row]
        return not before or any(self._human in mention.object_ids for mention in before)

    def _active(
        self, tokens: list[str], row: int, stop: int, pattern: _Pattern, at: dict[int, _Mention], verbs: set[int]
    ) -> set[int]:
        """Classes of the objects behind a verb."""
        found: set[int] = set()
        for verb_id in pattern.verb_ids:
            for mention, by_means in _objects_behind(tokens, row, stop, at, verbs, self._is_instrument[verb_id]):
                for object_id in mention.object_ids:
                    if by_means or not self._has_direct_role(verb_id, object_id):
                        found.add(int(self._classes[verb_id, object_id]))
        return found - {-1}

    def _has_direct_role(self, verb_id: int, object_id: int) -> bool:
        """Whether an instrument can also be what is acted on: "cutting a knife" is no cutting with it."""
        direct = self._direct_of[verb_id]
        return self._is_instrument[verb_id] and direct >= 0 and bool(self._classes[direct, object_id] >= 0)

    def _passive(self, tokens: list[str], row: int, stop: int, pattern: _Pattern, mentions: list[_Mention]) -> set[int]:
        """Classes of the object before a participle."""
        before = [mention for mention in mentions if mention.stop <= row]
        if not before:
            return set()
        between = tokens[before[-1].stop : row]
        adverbs = [token for token in between if token not in _AUXILIARY]
        if len(between) > _PASSIVE_GAP or not all(token.endswith("ly") for token in adverbs):
            return set()
        if not (_BE & set(between) or "by" in tokens[stop : stop + 2]):
            return set()
        classes = self._classes[list(pattern.verb_ids)][:, list(before[-1].object_ids)]
        return {int(hoi_id) for hoi_id in classes.ravel()} - {-1}


def _patterns(vocabulary: Vocabulary, synonyms: Synonyms) -> Iterator[_Pattern]:
    """Every way to say the verbs; V-COCO's roles of one verb share them, and "no interaction" has none."""
    ids: defaultdict[str, list[int]] = defaultdict(list)
    for verb_id, verb in enumerate(vocabulary.verbs):
        ids[verb_key(without_role(verb))].append(verb_id)
    ids.pop("no interaction", None)
    for key, verb_ids in ids.items():
        for text in (key, *synonyms.verbs[key]):
            first, *rest = text.replace("-", " ").split()
            yield _Pattern(tuple(verb_ids), verb_forms(first), tuple(_SAME.get(word, word) for word in rest))


def _is_negated(tokens: list[str], row: int) -> bool:
    before = tokens[max(0, row - _NEGATION_GAP) : row]
    denied = any(token in _NEGATION or token.endswith("n't") for token in before)
    return denied or before[-2:] == ["instead", "of"]


def _end_of_phrase(tokens: list[str], row: int, rest: tuple[str, ...]) -> int | None:
    """Row behind the verb's last word, None where its other words do not follow."""
    stop = row + 1
    for word in rest:
        reach = tokens[stop : stop + _PARTICLE_GAP + 1]
        if word not in reach or _ENDS & set(reach[: reach.index(word)]):
            return None
        stop += reach.index(word) + 1
    return stop


def _acts(tokens: list[str], row: int, verbs: set[int]) -> bool:
    """Whether a verb follows, so that what is named before `row` is its subject."""
    while row < len(tokens) and tokens[row] in _AUXILIARY:
        row += 1
    return row in verbs


def _objects_behind(
    tokens: list[str], row: int, stop: int, at: dict[int, _Mention], verbs: set[int], takes_means: bool
) -> Iterator[tuple[_Mention, bool]]:
    """Objects of a verb phrase row..stop, and whether each is the means ("with a knife")."""
    whole = next((mention for mention in at.values() if row < mention.start < stop <= mention.stop), None)
    if whole:  # the verb's last word is the object: "talk on phone"
        yield whole, True
        return
    place, gap, found, by_means, linked = stop, 0, False, False, True
    while place < len(tokens) and gap <= _OBJECT_GAP:
        token = tokens[place]
        if place in at and linked:
            if found and _acts(tokens, at[place].stop, verbs):
                return  # "... and a woman holds"
            yield at[place], by_means
            place, gap, found, linked = at[place].stop, 0, True, False
            continue
        if token in _MEANS and takes_means:
            by_means = linked = True
        elif token in _JOIN and (found or place + 1 in verbs):
            linked = True
        elif place in verbs:
            if found or tokens[place - 1] not in _JOIN:
                return
            gap = -1  # verbs that are joined share their objects
        elif token in _ENDS:
            return
        place, gap = (at[place].stop if place in at else place + 1), gap + 1
