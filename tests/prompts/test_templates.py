import pytest

from pipeline.core.errors import DataError, ParamError
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.templates import fill_template, hoi_prompts

TEMPLATE = "a person {verb} {article} {object}"
INSTRUMENT = "a person {verb} with {object}"


@pytest.mark.parametrize(
    ("template", "verb", "name", "sentence"),
    [
        (TEMPLATE, "ride", "bicycle", "a person riding a bicycle"),
        (TEMPLATE, "stand_under", "umbrella", "a person standing under an umbrella"),
        (TEMPLATE, "no_interaction", "wine_glass", "a person not interacting with a wine glass"),
        ("{verb_base}: {object}", "pick_up", "hot_dog", "pick up: hot dog"),
        ("no field at all", "ride", "bicycle", "no field at all"),
        ("{{{object}}}", "ride", "bicycle", "{bicycle}"),
    ],
)
def test_sentences(template, verb, name, sentence):
    assert fill_template(template, verb, name) == sentence


def test_prompts_are_in_the_order_of_the_classes(vocabulary):
    assert hoi_prompts(vocabulary, TEMPLATE, INSTRUMENT) == (
        "a person riding a bicycle",
        "a person holding a bicycle",
        "a person holding a cup",
        "a person drinking with a cup",
    )
    assert hoi_prompts(Vocabulary(("person",), (), ()), TEMPLATE, INSTRUMENT) == ()


def test_the_role_of_a_vcoco_verb_chooses_the_template():
    verbs = ("cut obj", "cut instr", "talk_on_phone instr")
    vocabulary = Vocabulary(("person", "knife", "cell phone"), verbs, ((0, 1), (1, 1), (2, 2)))
    assert hoi_prompts(vocabulary, TEMPLATE, INSTRUMENT) == (
        "a person cutting a knife",
        "a person cutting with knife",
        "a person talking on phone with cell phone",
    )


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("a {noun}", 'unknown field "{noun}"'),
        ("a {objct}", 'unknown field "{objct}", did you mean "object"?'),
        ("a {}", 'unknown field "{}"'),
        ("a {0}", 'unknown field "{0}"'),
        ("a {object.__class__}", "unknown field"),
        ("a {object", "check its braces"),
        ("a object}", "check its braces"),
        ("a {object!x}", "check its braces"),
        ("a {object:d}", "check its braces"),
    ],
)
def test_wrong_templates_are_one_line(template, part):
    with pytest.raises(ParamError) as caught:
        fill_template(template, "ride", "bicycle")
    assert str(caught.value).startswith("encode_prompts.template: ")
    assert part in str(caught.value)


def _vocabulary_of(*verbs: str) -> Vocabulary:
    return Vocabulary(("person", "cup"), verbs, tuple((row, 1) for row in range(len(verbs))))


def test_a_form_of_ones_own_replaces_the_rules():
    own = _vocabulary_of("look obj", "look instr", "next_to", "Sit on")
    forms = {"look": "looking  at", "next to": "standing next to", "sit_on": "seated on"}
    assert hoi_prompts(own, TEMPLATE, INSTRUMENT, forms) == (
        "a person looking at a cup",
        "a person looking at with cup",
        "a person standing next to a cup",
        "a person seated on a cup",
    )


@pytest.mark.parametrize(
    ("forms", "part"),
    [
        ({"lok": "looking at"}, 'no verb "lok" in the vocabulary, did you mean "look"?; expected one of its 1 verbs'),
        ({"look": " "}, '"look" has no form'),
        ({False: "nothing"}, 'no verb "False"'),  # `no:` in YAML
    ],
)
def test_wrong_forms_are_one_line(forms, part):
    with pytest.raises(ParamError) as caught:
        hoi_prompts(_vocabulary_of("look obj"), TEMPLATE, INSTRUMENT, forms)
    assert str(caught.value).startswith("encode_prompts.verb_forms: ") and part in str(caught.value)


def test_all_verbs_without_a_form_are_named_at_once():
    with pytest.raises(DataError) as caught:
        hoi_prompts(_vocabulary_of("hold", "next_to", "holds", "in (box)"), TEMPLATE, INSTRUMENT)
    assert str(caught.value) == (
        'no -ing form for the verb "next to": "next" is no verb; so are holds, in (box); rename it in the dataset, '
        'or set encode_prompts.verb_forms in params.yaml, e.g. {"next to": "standing next to"}'
    )


def test_a_template_without_the_form_takes_any_verb():
    assert hoi_prompts(_vocabulary_of("next_to"), "{verb_base}: {object}", INSTRUMENT) == ("next to: cup",)
