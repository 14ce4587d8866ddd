from random import Random

import pytest

from pipeline.core.errors import WeightsError
from pipeline.store.clip_architecture import ClipConfig, build_clip
from pipeline.store.clip_checkpoint import ClipCheckpoint, token_table
from pipeline.toyworld.captions import GERUNDS, canonical_prompts, caption_scene, known_texts
from pipeline.toyworld.scenes import render_scene
from pipeline.toyworld.views import whole_view
from pipeline.toyworld.vocabulary import toyworld_vocabulary

TEMPLATES = (
    "a photo of a person {gerund} a {noun}",
    "an image of a person {gerund} a {noun}",
    "a person {verb} {noun}",
    "someone {gerund} the {noun}",
    "person {gerund} {noun}",
    "a picture of a human interacting with a {noun}",
)


@pytest.fixture(scope="module")
def checkpoint():
    token_ids = token_table(known_texts())
    config = ClipConfig(8, 32, (1, 1, 1, 1), 2, 32, len(token_ids), 8, 1, 1)
    return ClipCheckpoint(build_clip(config), "tiny", "", token_ids)


def test_canonical_prompts_follow_the_vocabulary():
    vocabulary, prompts = toyworld_vocabulary(), canonical_prompts()
    assert len(set(prompts)) == vocabulary.num_hois
    assert prompts[0] == "a person riding a bicycle"
    assert "a person drinking with a cup" in prompts and "a person standing on a chair" in prompts


@pytest.fixture(scope="module")
def scenes():
    return [render_scene("clip_corpus", index, root_seed=0, exponent=0.0) for index in range(300)]


def test_captions_are_true_and_in_the_token_table(checkpoint, scenes):
    random = Random(0)
    texts = set()
    for scene in scenes:
        caption = caption_scene(scene, random)
        assert set(caption.hoi_ids) <= set(scene.hoi_id.tolist())
        texts.add(caption.text)
    assert checkpoint.tokenize(sorted(texts)).shape == (len(texts), 32)
    assert len(texts) > 150


def test_other_templates_are_in_the_token_table(checkpoint):
    vocabulary = toyworld_vocabulary()
    classes = [(vocabulary.verbs[verb], vocabulary.objects[thing]) for verb, thing in vocabulary.hoi_classes]
    forms = [{"gerund": GERUNDS[verb], "verb": verb.replace("_", " "), "noun": noun} for verb, noun in classes]
    checkpoint.tokenize([template.format(**form) for template in TEMPLATES for form in forms])


def test_other_words_are_refused(checkpoint):
    with pytest.raises(WeightsError, match="giraffe"):
        checkpoint.tokenize(["a person riding a bicycle", "a person riding a giraffe"])


def test_generic_captions_name_no_color(scenes):
    random = Random(1)
    for scene in scenes[:100]:
        caption = caption_scene(whole_view(scene, 32).scene, random)
        if caption.generic:
            assert not set(caption.text.split()) & set(scene.colors)
