import pytest
import torch
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

from pipeline.backbones.detector_fpn import DetectorFpn
from pipeline.core.bags import CLIP_MEAN, CLIP_STD
from pipeline.detection.small_fasterrcnn import small_fasterrcnn


@pytest.fixture
def detector(seed):
    torch.manual_seed(seed)
    return small_fasterrcnn(5).eval().requires_grad_(False)


@pytest.fixture
def backbone(detector, seed):
    torch.manual_seed(1 + seed)
    return DetectorFpn(detector, {}, embed_dim=24, image_size=160).eval()


BOXES = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 1.0], [0.2, 0.2, 0.6, 0.6], [0.5, 0.5, 0.6, 0.55]])
IMAGE = torch.tensor([0, 0, 1, 1])


def test_regions_equal_torchvisions_pooler_and_the_detectors_own_head(detector, backbone):
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(2))
    ours = backbone.region_embedding(backbone(images), BOXES, IMAGE)
    levels = dict(zip(("0", "1", "2"), backbone(images), strict=True))
    pixels = [BOXES[index == IMAGE] * 160 for index in (0, 1)]
    pooled = detector.roi_heads.box_roi_pool(levels, pixels, [(160, 160)] * 2)
    torch.testing.assert_close(backbone.region_maps(backbone(images), BOXES, IMAGE), pooled, atol=1e-4, rtol=1e-4)
    assert pooled.shape[1:] == (*backbone.region_map_shape, backbone.region_map_shape[1])
    theirs = backbone.projection(detector.roi_heads.box_head(pooled))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    chosen = backbone._level(BOXES, backbone(images)).tolist()
    assert len(set(chosen)) == 3  # the boxes above are of all three levels, or this test would show little


def test_pixels_reach_the_pyramid_as_the_detector_normalizes_them(detector, backbone):
    pixels = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(3))
    clip_input = (pixels - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)
    images, _ = detector.transform([pixels[0]])
    for ours, theirs in zip(backbone(clip_input), detector.backbone(images.tensors).values(), strict=False):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_the_image_is_the_region_that_covers_it(backbone):
    features = backbone(torch.randn(2, 3, 160, 160))
    whole = backbone.region_embedding(features, torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([1]))
    torch.testing.assert_close(backbone.global_embedding(features)[1:], whole, atol=1e-5, rtol=1e-5)


def test_it_trains_though_detectors_are_loaded_frozen_and_leaves_the_detector_alone(detector, backbone):
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    backbone.region_embedding(backbone(torch.randn(2, 3, 160, 160)), BOXES, IMAGE).sum().backward()
    assert backbone.pyramid.stem[0].weight.grad.abs().sum() > 0
    assert backbone.box_head.fc6.weight.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in detector.parameters())
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_no_regions_at_all(backbone):
    features = backbone(torch.randn(1, 3, 160, 160))
    assert backbone.region_embedding(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)).shape == (0, 24)


def test_patches_are_of_the_level_with_the_stride_of_clip_resnet(backbone):
    features = backbone(torch.randn(2, 3, 160, 160))
    assert [160 // level.shape[3] for level in features] == [8, 16, 32]
    patches = backbone.patches(features)
    assert patches.shape == (2, 100, backbone.patch_width)
    assert torch.equal(patches[1, 10 * 2 + 3], features[1][1, :, 2, 3])


def test_a_pyramid_of_fewer_levels_than_its_pooler_names_is_read_as_torchvision_reads_it():
    detector = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=5).eval()
    backbone = DetectorFpn(detector, {}, embed_dim=24, image_size=160).eval()
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(2))
    features = backbone(images)
    assert len(features) == 2 < len(backbone.level_names)
    pixels = [BOXES[index == IMAGE] * 160 for index in (0, 1)]
    levels = dict(zip(("0", "1"), features, strict=True))
    pooled = detector.roi_heads.box_roi_pool(levels, pixels, [(160, 160)] * 2)
    torch.testing.assert_close(backbone.region_maps(features, BOXES, IMAGE), pooled, atol=1e-4, rtol=1e-4)
