import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

import pipeline.toyworld
from pipeline.store.clip_architecture import ClipConfig
from pipeline.store.clip_checkpoint import load_clip
from pipeline.store.files import sha256_of
from pipeline.toyworld.captions import Caption
from pipeline.toyworld.clip_distillation import ClipViTRecipe
from pipeline.toyworld.clip_recipe import (
    ClipRecipe,
    contrastive_loss,
    contrastive_targets,
    zero_shot_scores,
)
from pipeline.toyworld.quality import average_precision, mean_average_precision
from pipeline.toyworld.scenes import render_scene
from pipeline.toyworld.views import hoi_labels, normalize, pair_view, whole_view

WEIGHTS = Path(pipeline.toyworld.__file__).parent / "weights"


def test_contrastive_targets_by_hand():
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1]]).bool()
    captions = [Caption("class 0", (0,), True), Caption("a red class 0", (0,), False), Caption("class 2", (2,), True)]
    expected = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1]]).bool()
    assert torch.equal(contrastive_targets(captions, labels), expected)


def test_contrastive_targets_with_two_captions_an_image():
    labels = torch.tensor([[1, 1], [0, 1]]).bool()
    captions = [
        Caption("class 0 and class 1", (0, 1), True),
        Caption("class 1", (1,), True),
        Caption("a red class 1", (1,), False),
        Caption("class 1", (1,), True),
    ]
    assert contrastive_targets(captions, labels).tolist() == [[True, True, False, True], [False, True, True, True]]


def test_contrastive_loss_is_clips_own_where_captions_are_unique():
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    by_image, by_text = (torch.nn.functional.cross_entropy(each, torch.arange(5)) for each in (logits, logits.T))
    torch.testing.assert_close(contrastive_loss(logits, torch.eye(5).bool()), (by_image + by_text) / 2)


def test_pair_view_holds_its_pair_at_a_larger_scale():
    for index in range(50):
        scene = render_scene("clip_corpus", index, root_seed=0, exponent=0.0)
        view = pair_view(scene, 128, Random(index))
        assert view.pixels.shape == (3, 128, 128) and view.pixels.dtype == np.uint8
        assert 1 <= len(view.scene.hoi_id) <= len(scene.hoi_id)
        assert set(view.scene.hoi_id.tolist()) <= set(scene.hoi_id.tolist())
        human = view.scene.human_index[0]
        assert np.ptp(view.scene.boxes[human, 1::2]) >= 0.99 * np.ptp(scene.boxes[human, 1::2]) * 128 / 160


def test_normalize_is_clips_own():
    from clip.clip import _transform

    scene = render_scene("val", 0, root_seed=0, exponent=0.4)
    ours = normalize(torch.from_numpy(whole_view(scene, 160).pixels)[None])[0]
    torch.testing.assert_close(ours, _transform(160)(scene.image), atol=1e-6, rtol=1e-5)


def test_both_recipes_have_the_same_corpus_and_texts():
    resnet, vit = vars(ClipRecipe()), vars(ClipViTRecipe())
    tower = {"vision_width", "vision_layers", "vision_patch_size"}
    training = {"epochs", "batch_size", "learning_rate", "contrastive_weight"}
    assert {name for name in vit if vit[name] != resnet.get(name)} == tower | training
    assert 160 % vit["vision_patch_size"] == resnet["image_resolution"] % vit["vision_patch_size"] == 0


def test_average_precision_by_hand():
    scores, hits = np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.array([True, False, True, False])
    assert average_precision(scores, hits, 3) == pytest.approx((1 + 2 / 3) / 3)
    assert mean_average_precision(hits[:, None].astype(np.float32), hits[:, None]) == 1.0


@pytest.mark.parametrize("name", ["clip", "clip_vit", "detector"])
def test_shipped_weights_match_their_manifest(name):
    weights = WEIGHTS / f"{name}.safetensors"
    manifest = json.loads(weights.with_suffix(".json").read_text())
    assert manifest["sha256"] == sha256_of(weights)
    assert manifest["bytes"] == weights.stat().st_size < 3_000_000
    if "teacher" in manifest:
        assert manifest["teacher"]["sha256"] == sha256_of(WEIGHTS / manifest["teacher"]["weights"])


@pytest.mark.parametrize(("name", "recipe", "times"), [("clip", ClipRecipe(), 5), ("clip_vit", ClipViTRecipe(), 2)])
def test_shipped_clips_are_what_their_recipes_make_and_know_relations(name, recipe, times):
    """The vision transformer learns less than the ResNet that teaches it."""
    manifest = json.loads((WEIGHTS / f"{name}.json").read_text())
    assert manifest["recipe"] == vars(recipe)
    checkpoint = load_clip(str(WEIGHTS / f"{name}.safetensors"))
    assert ClipConfig.of_model(checkpoint.model) == recipe.architecture(manifest["architecture"]["vocab_size"])
    scenes = [render_scene("clip_quality", index, root_seed=0, exponent=0.0) for index in range(10_000, 10_300)]
    views = [whole_view(scene, 128) for scene in scenes]
    labels = hoi_labels([view.scene for view in views])
    pixels = torch.from_numpy(np.stack([view.pixels for view in views]))
    scores = zero_shot_scores(checkpoint, pixels).numpy()
    chance = float(labels.mean(0)[labels.any(0)].mean())
    assert mean_average_precision(scores, labels) > times * chance
