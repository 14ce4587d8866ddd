"""Checkpoints of the real architectures through our loaders: equal to CLIP and torchvision themselves."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import clip
import numpy as np
import pytest
import torch
from torchvision.models import get_model_builder
from torchvision.ops import roi_align

from pipeline.backbones.clip_resnet import ClipResNet, ClipResNetParams
from pipeline.backbones.clip_vit import ClipViT, ClipViTParams, ViTConfig
from pipeline.core.types import BankPrompts
from pipeline.data.pixels import normalize_pixels
from pipeline.detection.detectors import load_detector
from pipeline.detection.params import DetectParams
from pipeline.prompts.clip_bank import encode_bank
from pipeline.store.clip_architecture import ClipConfig, build_clip
from pipeline.store.clip_checkpoint import ClipCheckpoint, load_clip
from pipeline.store.published import CLIP_FILES, PublishedFile
from tests.downloads import COCO_NAMES
from tests.real_weights import RN50, RN101, VIT_B16, save_random_clip, save_random_detector

pytestmark = pytest.mark.slow
PROMPTS = ("a person riding a bicycle", "a person cutting with knife")


class Clips(NamedTuple):
    """One file of weights: CLIP's own model with them, built without our loader, and what our loader makes of it."""

    config: ClipConfig
    path: Path
    bare: torch.nn.Module
    loaded: ClipCheckpoint


RESNETS = [pytest.param(RN50, id="RN50"), pytest.param(RN101, id="RN101")]


@pytest.fixture(scope="module", params=[*RESNETS, pytest.param(VIT_B16, id="ViT-B/16")])
def clips(request, tmp_path_factory) -> Clips:
    path = save_random_clip(tmp_path_factory.mktemp("clip") / "clip.pt", request.param)
    bare = build_clip(request.param)
    bare.load_state_dict({name: value.float() for name, value in torch.load(path, weights_only=True).items()})
    return Clips(request.param, path, bare.float().eval(), load_clip(str(path)))


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    pixels = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return normalize_pixels(pixels)


def test_the_architecture_is_recognized_from_the_tensors(clips):
    assert ClipConfig.of_state(torch.load(clips.path, weights_only=True), "clip.pt") == clips.config


@torch.no_grad()
def test_the_global_vector_equals_encode_image(clips, image):
    visual = clips.loaded.model.visual
    if clips.config.vision_patch_size:
        backbone = ClipViT(visual, ClipViTParams()).eval()
    else:
        backbone = ClipResNet(visual, ClipResNetParams(last_stride=32)).eval()
    ours = backbone.global_embedding(backbone(image))
    theirs = clips.bare.encode_image(image)
    assert ours.shape == (1, clips.config.embed_dim)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@torch.no_grad()
def test_the_bank_equals_encode_text(clips):
    theirs = clips.bare.encode_text(clip.tokenize(list(PROMPTS)))
    bank = encode_bank(clips.loaded, BankPrompts(PROMPTS, PROMPTS[:1], PROMPTS[1:]))
    expected = torch.nn.functional.normalize(theirs, dim=1).numpy()
    np.testing.assert_allclose(bank.hoi_embeddings, expected, atol=1e-5)
    np.testing.assert_allclose(bank.object_embeddings, expected[:1], atol=1e-5)
    np.testing.assert_allclose(bank.verb_embeddings, expected[1:], atol=1e-5)
    assert np.abs(bank.hoi_embeddings[0] - bank.hoi_embeddings[1]).max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("clips", RESNETS, indirect=True)
@pytest.mark.parametrize("stride", [32, 16])
def test_region_embeddings_equal_clips_pool_over_roi_align(clips, image, stride):
    backbone = ClipResNet(clips.loaded.model.visual, ClipResNetParams(last_stride=stride)).eval()
    features = backbone(image)
    assert features.shape == (1, 2048, 224 // stride, 224 // stride)
    boxes = torch.tensor([[0.5, 1, 5, 6], [0, 0, 7, 7], [2, 3, 3, 4.5]])
    ours = backbone.region_embedding(features, boxes * stride / 224, torch.zeros(3, dtype=torch.long))
    rois = torch.cat([torch.zeros(3, 1), boxes], 1)
    theirs = clips.bare.visual.attnpool(roi_align(features, rois, output_size=7, sampling_ratio=2, aligned=True))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@torch.no_grad()
def test_vit_l14_at_336_pixels_and_at_another_size():
    """Six of its 24 layers."""
    visual = ViTConfig(336, 14, 1024, 6, 16, 768, "quick_gelu").build().eval()
    backbone = ClipViT(visual, ClipViTParams(trained_blocks=4)).eval()
    for side in (336, 448):
        features = backbone(torch.zeros(1, 3, side, side))
        assert backbone.patches(features).shape == (1, (side // 14) ** 2, 1024)
        assert backbone.region_embedding(features, torch.tensor([[0.1, 0.1, 0.5, 0.9]]), torch.tensor([0])).shape == (
            1,
            768,
        )
    assert sum(value.requires_grad for value in backbone.parameters()) == 4 * 12 + 3


@pytest.mark.parametrize("clips", RESNETS, indirect=True)
def test_a_name_finds_the_file_where_clip_keeps_it(clips, monkeypatch):
    file = PublishedFile(f"https://example.org/{clips.path.name}", clips.loaded.digest)
    monkeypatch.setitem(CLIP_FILES, "RN50", file)
    named = load_clip("RN50", download_root=clips.path.parent)
    assert (named.name, named.digest) == ("RN50", clips.loaded.digest)


DETECTORS = [
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn",
    "fcos_resnet50_fpn",
    "ssd300_vgg16",
]


@pytest.mark.parametrize("name", DETECTORS)
def test_detections_equal_the_bare_torchvision_model(toyworld_params, tmp_path, name):
    save_random_detector(tmp_path / "w.pt", name)
    params = dataclasses.replace(
        toyworld_params[DetectParams], detector=name, weights="w.pt", score_threshold=0.0, nms_threshold=0.4,
        max_per_image=7,
    )  # fmt: skip
    detector = load_detector(params, root=tmp_path)
    limits = {"score_thresh": 0.0, "nms_thresh": 0.4, "detections_per_img": 7}
    if "rcnn" in name:
        limits = {f"box_{key}": value for key, value in limits.items()}
    bare = get_model_builder(name)(weights=None, weights_backbone=None, num_classes=len(COCO_NAMES), **limits)
    bare.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))
    for model in (detector.model, bare):
        model.transform.min_size, model.transform.max_size = (64,), 96  # the same network on less work
    images = [torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(1))]
    with torch.inference_mode():
        (theirs,) = bare.eval()(images)
    (ours,) = detector.detect(images)
    assert len(ours["scores"]) == 7
    for key in ("boxes", "scores", "labels"):
        torch.testing.assert_close(ours[key], theirs[key])
    assert detector.categories == tuple(COCO_NAMES)
