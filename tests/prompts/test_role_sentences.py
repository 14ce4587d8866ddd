import pytest

from pipeline.core.errors import ParamError
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.role_sentences import object_sentences, verb_sentences


def of_verbs(*verbs: str) -> Vocabulary:
    return Vocabulary(("person", "cup"), verbs, ())


def test_objects_and_the_human():
    vocabulary = Vocabulary(("person", "hot_dog", "umbrella", "wine glass", "apple"), (), ())
    assert object_sentences(vocabulary) == (
        "a photo of a person",
        "a photo of a hot dog",
        "a photo of an umbrella",
        "a photo of a wine glass",
        "a photo of an apple",
    )


def test_verbs_of_hico_in_correct_spelling():
    vocabulary = of_verbs("sit_on", "brush_with", "control", "drag", "hit", "sip", "spin", "no_interaction")
    assert verb_sentences(vocabulary) == (
        "a photo of a person is sitting on the object",
        "a photo of a person is brushing with the object",
        "a photo of a person is controlling the object",
        "a photo of a person is dragging the object",
        "a photo of a person is hitting the object",
        "a photo of a person is sipping the object",
        "a photo of a person is spinning the object",
        "a photo of a person and the object with no interaction",
    )


def test_verb_roles_of_vcoco_have_their_own():
    vocabulary = of_verbs("hit instr", "hit obj", "surf instr", "ski instr", "work_on_computer instr", "point instr")
    assert verb_sentences(vocabulary) == (
        "a photo of a person using an instrument for hitting things",
        "a photo of a person hitting a ball",
        "a photo of a person surfboarding",
        "a photo of a person skiing on a skis",
        "a photo of a person working on a laptop",
        "a photo of a person is pointing with the object",
    )


def test_forms_of_ones_own_come_first_and_what_is_no_verb_stays():
    vocabulary = of_verbs("look obj", "next_to", "no interaction")
    forms = {"look": "gazing at", "no interaction": "near"}
    assert verb_sentences(vocabulary, forms) == (
        "a photo of a person is gazing at the object",
        "a photo of a person is next to the object",
        "a photo of a person is near the object",
    )
    with pytest.raises(ParamError, match=r"encode_prompts\.verb_forms: no verb"):
        verb_sentences(vocabulary, {"lok": "looking"})
