"""Captions worked by hand, on the real vocabularies: what a reader of the caption would label, and what not."""

from __future__ import annotations

from functools import cache

import pytest

from pipeline.captions.matching import CaptionMatcher
from pipeline.captions.synonyms import Synonyms
from pipeline.core.vocabulary import Vocabulary
from pipeline.toyworld.captions import canonical_prompt
from pipeline.toyworld.vocabulary import toyworld_vocabulary
from pipeline.truth.hicodet_annotations import read_hicodet_json
from pipeline.truth.vcoco_pairs import read_vcoco_pairs
from tests.truth.real_ground_truth import real_ground_truth


@cache
def vocabulary(name: str) -> Vocabulary:
    if name == "hicodet":
        return read_hicodet_json(real_ground_truth("hicodet", "instances_test2015.json")).vocabulary
    return read_vcoco_pairs(real_ground_truth("vcoco", "instances_vcoco_test.json")).vocabulary


@cache
def matcher(name: str) -> CaptionMatcher:
    return CaptionMatcher(vocabulary(name), Synonyms.of(vocabulary(name), None))


def named(name: str, caption: str) -> set[str]:
    return {vocabulary(name).hoi_name(hoi_id) for hoi_id in matcher(name).hoi_ids(caption)}


@pytest.mark.parametrize(
    ("caption", "classes"),
    [
        # forms of verbs, plurals, synonyms
        ("A man riding a bike down the street.", {"ride bicycle"}),
        ("two women rode elephants", {"ride elephant"}),
        ("The boy rides his bicycle", {"ride bicycle"}),
        ("a girl has ridden horses", {"ride horse"}),
        ("A chef cut two pizzas", {"cut pizza"}),
        ("someone is repairing a bicycle", {"repair bicycle"}),
        ("He fixes the bike", {"repair bicycle"}),
        # several words, and words between
        ("Two women sit down on a park bench", {"sit_on bench"}),
        ("A person sat on a couch, typing on a laptop", {"sit_on couch", "type_on laptop"}),
        ("A girl talking on her cellphone", {"talk_on cell_phone"}),
        ("a man stands under an umbrella", {"stand_under umbrella"}),
        ("She brushes her teeth with a toothbrush", {"brush_with toothbrush"}),
        ("A kid drinking juice from a cup", {"drink_with cup"}),
        # the longest name
        ("a woman eating a hot dog", {"eat hot_dog"}),
        ("a child hugging a teddy bear", {"hug teddy_bear"}),
        ("a person feeding a bear", {"feed bear"}),
        # passive
        ("A bicycle is being ridden", {"ride bicycle"}),
        ("a horse ridden by two men", {"ride horse"}),
        ("A hot dog held by a child", {"hold hot_dog"}),
        ("a car that was quickly washed by them", {"wash car"}),
        # several verbs and objects
        ("washing and feeding a dog", {"wash dog", "feed dog"}),
        ("a man holding a cell phone, a book and a cup", {"hold cell_phone", "hold book", "hold cup"}),
        ("A girl talking on her cell phone while holding an umbrella", {"talk_on cell_phone", "hold umbrella"}),
        ("a man holding a cup and a woman sitting on a chair", {"hold cup", "sit_on chair"}),
        ("A man cutting a cake with a knife", {"cut cake", "cut_with knife"}),
        # what is not said
        ("a man is not riding the horse", set()),
        ("A man who isn't riding his bicycle", set()),
        ("a person stands beside a bicycle without riding a horse", set()),
        ("walking instead of riding a bicycle", set()),
        ("a man on a motorcycle", set()),
        ("a person near a bicycle", set()),
        ("a man riding a wave near a boat", set()),
        ("A man rides. A horse stands there.", set()),
        # words that are no verb, or not a person's
        ("a dog catches a frisbee", set()),
        ("a dog catches a frisbee while a man throws a sports ball", {"throw sports_ball"}),
        ("A man on a park bench with a car", set()),
        ("a man at a watch shop with birds", set()),
        ("a man watches a bird", {"watch bird"}),
        ("a man trains a dog", {"train dog"}),
        ("a man and two trains", set()),
        ("no interaction with a bicycle", set()),
        ("", set()),
    ],
)
def test_captions_on_the_classes_of_hicodet(caption, classes):
    assert named("hicodet", caption) == classes


@pytest.mark.parametrize(
    ("caption", "classes"),
    [
        ("a boy hit the ball with a bat", {"hit obj sports ball", "hit instr baseball bat"}),
        ("He ate a pizza with a fork", {"eat obj pizza", "eat instr fork"}),
        ("a woman slices a cake using a knife", {"cut obj cake", "cut instr knife"}),
        ("a man cutting with scissors", {"cut instr scissors"}),
        ("Girl talks on a cell phone", {"talk_on_phone instr cell phone"}),
        ("a man is working on his computer", {"work_on_computer instr laptop"}),
        ("A skateboarder jumping on a skateboard", {"jump instr skateboard"}),
        ("a child lying on a bed and reading a book", {"lay instr bed", "read obj book"}),
        ("the man is looking at a clock", {"look obj clock"}),
        ("a bench sat on by an old man", {"sit instr bench"}),
    ],
)
def test_roles_of_vcoco(caption, classes):
    assert named("vcoco", caption) & classes == classes
    assert {name for name in named("vcoco", caption) - classes if not name.startswith("look")} == set()


@pytest.mark.parametrize("name", ["hicodet", "vcoco"])
def test_a_plain_sentence_of_every_class_names_it(name):
    """ "a person VERB-s the OBJECT" in base form, but for V-COCO's instruments and classes without a verb."""
    known = vocabulary(name)
    missed = []
    for hoi_id, hoi_name in enumerate(known.hoi_names):
        verb, category = (known.verbs[known.hoi_verb_ids[hoi_id]], known.objects[known.hoi_object_ids[hoi_id]])
        words = verb.removesuffix(" obj").replace("_", " ")
        means = "with " if verb.endswith(" instr") else ""
        sentence = f"a person can {words.removesuffix(' instr')} {means}the {category.replace('_', ' ')}"
        if hoi_id not in matcher(name).hoi_ids(sentence):
            missed.append(hoi_name)
    assert {name.split()[0] for name in missed} <= {"no_interaction"}


def test_a_persons_word_is_a_category_of_any_name_for_humans():
    renamed = Vocabulary(("human", "cup"), ("hug", "hold"), ((0, 0), (1, 1)), human="human")
    found = CaptionMatcher(renamed, Synonyms.of(renamed, None)).hoi_ids
    assert found("a woman hugs a man") == {0}
    assert found("a person hugged by a human") == {0}


def test_every_canonical_prompt_of_the_toyworld_names_its_class_alone():
    toy = toyworld_vocabulary()
    toy_matcher = CaptionMatcher(toy, Synonyms.of(toy, None))
    assert [toy_matcher.hoi_ids(canonical_prompt(row)) for row in range(toy.num_hois)] == [
        {row} for row in range(toy.num_hois)
    ]
