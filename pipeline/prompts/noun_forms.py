"""How an object category stands in a sentence: its name as words, and "a" or "an" before it, by sound."""

from __future__ import annotations

import re
import unicodedata

# Names of letters that begin with the sound of a vowel: "an x-ray", "an mp3 player".
_VOWEL_LETTERS = frozenset("aefhilmnorsx")
# Spelled letter by letter although they hold a vowel, and read as words although they hold none.
_SPELLED = re.compile("api|eu|fbi|hdmi|iou|leds?|mris?|nba|rfid|sos|suvs?|ufos?|uhf|uk|upc|upvc|url|us|usa|usb|uv")
_READ_AS_WORDS = frozenset({"mr", "mrs", "ms"})
# A vowel that sounds as in "you" or "won"; "uni" does not in "unidentified", "unimportant", "uninstalled", "unironed".
_CONSONANT_SOUND = re.compile(
    r"eu|ewe|once|one(?!r)|oui|ubiq|ugand|uk[ru]|unanim|unesco|uni(?!de|m(?!o)|n|r|ll|ss)|ur[aeiou]|us[aeu]|ut[aeio]|uv"
)
# A silent h, and x before a consonant ("xbox").
_VOWEL_SOUND = re.compile(r"[aeiou]|heir|herb(?!i)|hon(?:est|or|our)|hors d|hour|x(?![aeiouy])")
_VOWEL_NUMBER = re.compile(r"(?:8\d*|1[18](?:\d{3})*)(?!\d)")  # eight, eighty, eleven, eighteen


def article(noun: str) -> str:
    """Return "a" or "an" for a noun. Capitals don't matter, and abbreviations are known by their letters."""
    decomposed = unicodedata.normalize("NFD", noun.lower())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))  # without accents
    letters = re.sub(r"[^a-z].*", "", plain, flags=re.DOTALL)
    if not letters:
        return "an" if _VOWEL_NUMBER.match(plain) else "a"
    unreadable = len(letters) == 1 or (not re.search("[aeiouy]", letters) and letters not in _READ_AS_WORDS)
    if unreadable or _SPELLED.fullmatch(letters):
        return "an" if letters[0] in _VOWEL_LETTERS else "a"
    return "an" if _VOWEL_SOUND.match(plain) and not _CONSONANT_SOUND.match(plain) else "a"


def readable(name: str) -> str:
    """Return a category's name as words: "hot_dog" to "hot dog"."""
    return name.replace("_", " ")
