"""From HOI classes to sentences. Templates are data; they name {verb} (its -ing form), {article} and {object}."""

from __future__ import annotations

import string

from pipeline.core.errors import ParamError, did_you_mean
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.verb_forms import article, gerund, readable

INSTRUMENT, OBJECT = " instr", " obj"  # the roles behind the verbs of V-COCO: "cut instr", "cut obj"
_FIELDS = ("verb", "verb_base", "article", "object")


def fill_template(template: str, verb: str, object_name: str) -> str:
    """Return the sentence of one HOI class.

    Fields: {verb} -ing form, {verb_base} the verb as words, {article} a/an, {object} the category as words.

    Raises:
        ParamError: the template names an unknown field, or its braces do not match.
    """
    noun = readable(object_name)
    values = {"verb": gerund(verb), "verb_base": readable(verb), "article": article(noun), "object": noun}
    try:
        for _, field, _, _ in string.Formatter().parse(template):
            if field is not None and field not in values:
                raise ParamError(
                    f'encode_prompts.template: unknown field "{{{field}}}"{did_you_mean(field, _FIELDS)}; '
                    f"expected {', '.join(_FIELDS)}"
                )
        return template.format(**values)
    except ValueError as error:
        raise ParamError(f'encode_prompts.template: "{template}" is no template ({error}); check its braces') from None


def hoi_prompts(vocabulary: Vocabulary, template: str, instrument_template: str) -> tuple[str, ...]:
    """Return one sentence per HOI class, in id order (sec. 3.2).

    V-COCO's verbs end in their role (App. G): "cut obj" fills `template` ("a person cutting a cake"), "cut instr" fills
    `instrument_template` ("a person cutting with knife").
    """
    prompts = []
    for verb_id, object_id in vocabulary.hoi_classes:
        verb = vocabulary.verbs[verb_id]
        chosen = instrument_template if verb.endswith(INSTRUMENT) else template
        verb = verb.removesuffix(INSTRUMENT).removesuffix(OBJECT)
        prompts.append(fill_template(chosen, verb, vocabulary.objects[object_id]))
    return tuple(prompts)
