"""One sentence for each object category, and one for each verb, for methods that read them apart (RegFormer).

The sentences are RegFormer's, spelled by the rules of `noun_forms` and `verb_forms` ("controlling", "an umbrella").
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.noun_forms import article, readable
from pipeline.prompts.templates import INSTRUMENT, checked_forms, verb_key, without_role
from pipeline.prompts.verb_forms import gerund

_NO_INTERACTION = "a photo of a person and the object with no interaction"
# V-COCO's verb-roles; each follows "a photo of a person".
_VCOCO = {
    "hold obj": "holding an object",
    "sit instr": "sitting on an object",
    "ride instr": "riding on an object",
    "look obj": "looking at an object",
    "hit instr": "using an instrument for hitting things",
    "hit obj": "hitting a ball",
    "eat obj": "eating an object",
    "eat instr": "using an instrument for eating things",
    "jump instr": "jumping on a skateboard",
    "lay instr": "laying on an object",
    "talk_on_phone instr": "talking on a cell phone",
    "carry obj": "carrying an object",
    "throw obj": "throwing an object",
    "catch obj": "catching an object",
    "cut instr": "using an instrument for cutting things",
    "cut obj": "cutting an object",
    "work_on_computer instr": "working on a laptop",
    "ski instr": "skiing on a skis",
    "surf instr": "surfboarding",
    "skateboard instr": "skateboarding",
    "drink instr": "drinking with an object",
    "kick obj": "kicking a sports ball",
    "read obj": "reading a book",
    "snowboard instr": "snowboarding",
}


def object_sentences(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return "a photo of {a/an} {object}" of every category, the human among them, in id order."""
    nouns = [readable(name) for name in vocabulary.objects]
    return tuple(f"a photo of {article(noun)} {noun}" for noun in nouns)


def verb_sentences(vocabulary: Vocabulary, verb_forms: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return "a photo of a person is {verb-ing} the object" of every verb, in id order; V-COCO's have their own.

    Args:
        verb_forms: forms of one's choice in place of the -ing form, as for `hoi_prompts`; they come before all else.

    Raises:
        ParamError: `verb_forms` names a verb that the vocabulary lacks, or gives no text.
    """
    forms = checked_forms(verb_forms or {}, [without_role(verb) for verb in vocabulary.verbs])
    return tuple(_verb_sentence(verb, forms.get(verb_key(without_role(verb)))) for verb in vocabulary.verbs)


def _verb_sentence(verb: str, form: str | None) -> str:
    if form is None and verb in _VCOCO:
        return f"a photo of a person {_VCOCO[verb]}"
    if form is None and verb_key(verb) == "no interaction":
        return _NO_INTERACTION
    words = form or _form_of(without_role(verb))
    return f"a photo of a person is {words} {'with ' if verb.endswith(INSTRUMENT) else ''}the object"


def _form_of(verb: str) -> str:
    """The -ing form; of what is no verb, the words: "is next to the object". `hoi_prompts` refuses it where it must."""
    try:
        return gerund(verb)
    except DataError:
        return readable(verb)
