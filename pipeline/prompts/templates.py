"""From HOI classes to sentences. Templates are data; they name {verb} (its -ing form), {article} and {object}."""

from __future__ import annotations

import string
from collections.abc import Mapping

from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.noun_forms import article, readable
from pipeline.prompts.verb_forms import gerund

INSTRUMENT, OBJECT = " instr", " obj"  # the roles behind the verbs of V-COCO: "cut instr", "cut obj"
_FIELDS = ("verb", "verb_base", "article", "object")


def fill_template(template: str, verb: str, object_name: str, verb_form: str | None = None) -> str:
    """Return the sentence of one HOI class.

    Fields: {verb} -ing form, {verb_base} the verb as words, {article} a/an, {object} the category as words.

    Args:
        verb_form: what {verb} becomes; None: the verb's -ing form, by the rules of English spelling.

    Raises:
        ParamError: the template names an unknown field, or its braces do not match.
        DataError: no `verb_form`, and the verb has no -ing form.
    """
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        for field in fields:
            if field not in _FIELDS:
                raise ParamError(
                    f'encode_prompts.template: unknown field "{{{field}}}"{did_you_mean(field, _FIELDS)}; '
                    f"expected {', '.join(_FIELDS)}"
                )
        noun = readable(object_name)
        form = verb_form or (gerund(verb) if "verb" in fields else "")
        return template.format(verb=form, verb_base=readable(verb), article=article(noun), object=noun)
    except ValueError as error:
        raise ParamError(f'encode_prompts.template: "{template}" is no template ({error}); check its braces') from None


def hoi_prompts(
    vocabulary: Vocabulary, template: str, instrument_template: str, verb_forms: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return one sentence per HOI class, in id order (sec. 3.2).

    V-COCO's verbs end in their role (App. G): "cut obj" fills `template` ("a person cutting a cake"), "cut instr" fills
    `instrument_template` ("a person cutting with knife").

    Args:
        verb_forms: what {verb} becomes for verbs of one's choice, by verb without role: {"look": "looking at"}.

    Raises:
        ParamError: as `fill_template`; or `verb_forms` names a verb that the vocabulary lacks, or gives no text.
        DataError: verbs without an -ing form, all of them in one message.
    """
    forms = checked_forms(verb_forms or {}, [without_role(verb) for verb in vocabulary.verbs])
    prompts, faults = [], {}
    for verb_id, object_id in vocabulary.hoi_classes:
        name = vocabulary.verbs[verb_id]
        verb, chosen = without_role(name), instrument_template if name.endswith(INSTRUMENT) else template
        try:
            prompts.append(fill_template(chosen, verb, vocabulary.objects[object_id], forms.get(verb_key(verb))))
        except DataError as error:
            faults[readable(verb)] = str(error)
    if faults:
        first = next(iter(faults))
        others = f"; so are {', '.join(list(faults)[1:])}" if len(faults) > 1 else ""
        raise DataError(
            f'no -ing form for the verb "{first}": {faults[first]}{others}; rename it in the dataset, '
            f'or set encode_prompts.verb_forms in params.yaml, e.g. {{"{first}": "standing {first}"}}'
        )
    return tuple(prompts)


def without_role(verb: str) -> str:
    """Return a verb of V-COCO without its role: "cut instr" to "cut"; other verbs stay."""
    return verb.removesuffix(INSTRUMENT).removesuffix(OBJECT)


def verb_key(verb: str) -> str:
    """Return a verb as `verb_forms` is searched for it: "sit_on" and "Sit on" are the same."""
    return " ".join(readable(verb).lower().split())


def checked_forms(verb_forms: Mapping[str, str], verbs: list[str]) -> dict[str, str]:
    """Return `verb_forms` by `verb_key`, their spaces tidied.

    Args:
        verbs: of the vocabulary, without roles.

    Raises:
        ParamError: a verb that is not in the vocabulary, or one without text.
    """
    known = {verb_key(verb) for verb in verbs}
    for verb, form in verb_forms.items():
        if (key := verb_key(str(verb))) not in known:
            raise ParamError(
                f'encode_prompts.verb_forms: no verb "{verb}" in the vocabulary{did_you_mean(key, known)}; '
                f"expected one of its {len(known)} verbs"
            )
        if not form.strip():
            raise ParamError(f'encode_prompts.verb_forms: "{verb}" has no form; expected text as "looking at"')
    return {verb_key(verb): " ".join(form.split()) for verb, form in verb_forms.items()}
