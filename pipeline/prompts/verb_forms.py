"""English forms that prompts need: -ing forms of verbs, articles, readable names.

Rules first, exceptions as data. Verbs are spelled as datasets do: "sit_on", "no_interaction".
"""

from __future__ import annotations

# Verbs whose last consonant is doubled, or that the spelling rules below would get wrong.
_IRREGULAR = {
    "lie": "lying",
    "tie": "tying",
    "die": "dying",
    "eye": "eyeing",
    "hoe": "hoeing",
    "dye": "dyeing",
    "clip": "clipping",
    "control": "controlling",
    "cut": "cutting",
    "chop": "chopping",
    "drag": "dragging",
    "drop": "dropping",
    "flip": "flipping",
    "grip": "gripping",
    "hit": "hitting",
    "hop": "hopping",
    "hug": "hugging",
    "jog": "jogging",
    "pat": "patting",
    "pet": "petting",
    "put": "putting",
    "run": "running",
    "set": "setting",
    "shop": "shopping",
    "sip": "sipping",
    "sit": "sitting",
    "skip": "skipping",
    "spin": "spinning",
    "stab": "stabbing",
    "step": "stepping",
    "stir": "stirring",
    "stop": "stopping",
    "swim": "swimming",
    "tag": "tagging",
    "tap": "tapping",
    "wag": "wagging",
    "win": "winning",
    "wrap": "wrapping",
    "zip": "zipping",
}
_VOWELS = "aeiou"


def gerund(verb: str) -> str:
    """Return the -ing form of a dataset's verb: "ride" to "riding", "sit_on" to "sitting on".

    "no_interaction" becomes "not interacting with"; a verb with words behind it ("talk_on_phone") keeps them.
    """
    if verb == "no_interaction":
        return "not interacting with"
    head, *rest = verb.split("_")
    if head in _IRREGULAR:
        form = _IRREGULAR[head]
    elif head.endswith("e") and not head.endswith("ee"):
        form = head[:-1] + "ing"
    else:
        form = head + "ing"
    return " ".join([form, *rest])


def article(noun: str) -> str:
    """Return "a" or "an" for a noun, by its first letter and the exceptions among the datasets' categories."""
    if noun.startswith(("uni", "use", "ute", "eu", "one")):
        return "a"
    return "an" if noun[0] in _VOWELS or noun.startswith("hour") else "a"


def readable(name: str) -> str:
    """Return a category's name as words: "hot_dog" to "hot dog"."""
    return name.replace("_", " ")
