from __future__ import annotations

from random import Random

from pipeline.captions.matching import CaptionMatcher
from pipeline.captions.synonyms import Synonyms
from pipeline.toyworld.descriptions import NUMBERS, VAGUE, WRONG, describe_scene
from pipeline.toyworld.scenes import render_scene
from pipeline.toyworld.vocabulary import toyworld_vocabulary

SCENES = [render_scene("train", index, root_seed=0, size=64, exponent=1.3) for index in range(40)]


def test_captions_say_some_of_what_is_seen_and_are_seldom_wrong():
    vocabulary = toyworld_vocabulary()
    matcher = CaptionMatcher(vocabulary, Synonyms.of(vocabulary, None))
    random = Random(0)
    right = wrong = vague = shown = seen = 0
    for _ in range(20):
        for scene in SCENES:
            true, said = set(scene.hoi_id.tolist()), set()
            for caption in describe_scene(scene, random):
                named = matcher.hoi_ids(caption)
                right, wrong, vague = right + bool(named & true), wrong + bool(named - true), vague + (not named)
                said |= named
            shown, seen = shown + len(true & said), seen + len(true)
    total = right + vague + wrong
    assert abs(vague / total - VAGUE) < 0.04
    assert wrong / total < WRONG + 0.03
    assert 0.3 < shown / seen < 0.8  # people leave things out


def test_the_same_random_numbers_give_the_same_captions_and_some_images_none():
    numbers = [len(describe_scene(SCENES[index % 40], Random(index))) for index in range(200)]
    assert set(numbers) == set(NUMBERS)
    assert describe_scene(SCENES[0], Random(3)) == describe_scene(SCENES[0], Random(3))
