"""The -ing form of a dataset's verb: "ride" to "riding", "sit_on" to "sitting on".

Rules of American spelling ("traveling"), and lists of words that they do not cover. Underscores, spaces and hyphens
separate words, and the first word is the verb. What can't be a verb in base form is refused rather than misspelled.
"""

from __future__ import annotations

import re

from pipeline.core.errors import DataError
from pipeline.prompts.verb_lists import (
    BASE_IN_ED,
    BASE_IN_ING,
    BASE_IN_S,
    COMPOUNDS,
    DOUBLED,
    KEEP_E,
    NO_VERBS,
    PAST,
    PREFIXES,
)

_IE_TO_Y = re.compile(r"(|un|re|be|under|over|out|hog|cow|tongue)(die|lie|tie|vie)")  # not "birdie", "stymie"
_LAST_VOWEL_ALONE = re.compile(r"(?:^|[^aeiou]|qu)[aeiouy][^aeiouhwxy]$")
_SYLLABLE = re.compile(r"(?:[aeiou]|y(?![aeiou]))+")
_WORDS = re.compile(r"[^\W\d_][\w' -]*")  # letters first; then digits and the marks between words too
_WORD = re.compile(r"[A-ZÀ-Þ]?[a-zß-ÿ']+|[A-ZÀ-Þ]+")


def gerund(verb: str) -> str:
    """Return the -ing form of a verb; words behind it stay ("talk_on_phone"), and so does an -ing form ("riding").

    "no_interaction" becomes "not interacting with".

    Raises:
        DataError: it can't be a verb in base form; the message says why, and not where.
    """
    if re.split(r"[_\s-]+", verb.lower()) == ["no", "interaction"]:
        return "not interacting with"
    if not _WORDS.fullmatch(verb):
        raise DataError(f'"{verb}" is no verb: expected letters, with spaces, "_" or "-" between words')
    first, *rest = re.split(r"[_\s]+", verb.strip("_ "))
    pieces = [piece for piece in first.split("-") if piece]
    second = pieces[1] if len(pieces) > 1 else rest[0] if rest else ""
    joined = f"{pieces[0]}-{second}".lower() in COMPOUNDS or (pieces[0].lower() in PREFIXES and len(pieces) > 1)
    if not joined:
        return " ".join([_inflected(pieces[0]), *pieces[1:], *rest])
    if len(pieces) > 1:
        return " ".join([f"{pieces[0]}-{_inflected(second)}", *pieces[2:], *rest])
    return " ".join([pieces[0], _inflected(second), *rest[1:]])


def _inflected(word: str) -> str:
    """The -ing form of one word."""
    lower = word.lower()
    _check_base_form(word)
    return word if _is_ing_form(lower) else _spelled(lower)


def _is_ing_form(word: str) -> bool:
    """Whether there is a syllable before -ing: "riding", but not "bring"."""
    return word.endswith("ing") and bool(_SYLLABLE.search(word[:-3])) and word not in BASE_IN_ING


def _spelled(word: str) -> str:
    if _IE_TO_Y.fullmatch(word):
        return word[:-2] + "ying"
    if word.endswith("e") and not word.endswith(("ee", "ie", "oe", "ye")) and word not in KEEP_E and len(word) > 2:
        return word[:-1] + "ing"
    if re.search(r"[aeiou]c$", word):
        return word + "king"
    doubled = _LAST_VOWEL_ALONE.search(word) and len(_SYLLABLE.findall(word)) == 1
    return word + (word[-1] if doubled or word in DOUBLED else "") + "ing"


def _check_base_form(word: str) -> None:
    """Refuse other parts of speech and other forms of a verb.

    Raises:
        DataError: says what the word is taken for.
    """
    lower = word.lower()
    if not _WORD.fullmatch(word) or not _SYLLABLE.search(lower):
        raise DataError(f'"{word}" can\'t be spelled with -ing')
    if lower in NO_VERBS:
        raise DataError(f'"{word}" is no verb')
    if lower in PAST or (lower.endswith("ed") and not lower.endswith("eed") and lower not in BASE_IN_ED):
        raise DataError(f'"{word}" is a past form; expected the base form, as "hold"')
    if lower.endswith("s") and not lower.endswith(("ss", "us")) and lower not in BASE_IN_S:
        raise DataError(f'"{word}" is no base form; expected one as "hold", not "holds"')
