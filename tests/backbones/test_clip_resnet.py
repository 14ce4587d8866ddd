import torch
from clip.model import CLIP
from torchvision.ops import roi_align

from pipeline.backbones.clip_resnet import ClipResNet, ClipResNetParams


def backbone_of(visual, last_stride):
    return ClipResNet(visual, ClipResNetParams(last_stride=last_stride, roi_size=2))


def test_global_vector_equals_encode_image():
    torch.manual_seed(0)
    clip_model = CLIP(
        embed_dim=24, image_resolution=64, vision_layers=(1, 2, 1, 1), vision_width=8, vision_patch_size=None,
        context_length=8, vocab_size=50, transformer_width=16, transformer_heads=2, transformer_layers=1,
    ).eval()  # fmt: skip
    for parameter in clip_model.visual.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    backbone = backbone_of(clip_model.visual, 32)
    images = torch.randn(2, 3, 64, 64)
    ours = backbone.global_embedding(backbone(images))
    torch.testing.assert_close(ours, clip_model.encode_image(images), atol=1e-4, rtol=1e-4)


def test_last_stride_doubles_the_map_and_leaves_the_given_module_alone(small_visual):
    before = {name: value.clone() for name, value in small_visual.state_dict().items()}
    assert backbone_of(small_visual, 32)(torch.zeros(1, 3, 64, 64)).shape[2:] == (2, 2)
    assert backbone_of(small_visual, 16)(torch.zeros(1, 3, 64, 64)).shape[2:] == (4, 4)
    assert small_visual.layer4[0].avgpool.__class__.__name__ == "AvgPool2d"
    assert all(torch.equal(value, small_visual.state_dict()[name]) for name, value in before.items())


def test_patches_are_the_maps_cells_row_by_row(small_visual):
    backbone = backbone_of(small_visual, 16)
    features = backbone(torch.randn(2, 3, 64, 64))
    patches = backbone.patches(features)
    assert patches.shape == (2, 16, backbone.patch_width)
    assert torch.equal(patches[1, 4 * 2 + 3], features[1, :, 2, 3])


def test_maps_of_regions_equal_torchvisions_roi_align(small_visual):
    backbone = backbone_of(small_visual, 16)
    features = backbone(torch.randn(2, 3, 64, 64))
    boxes, image = torch.tensor([[0.1, 0.2, 0.9, 0.7], [0, 0, 1, 1], [0.5, 0.25, 0.75, 1]]), torch.tensor([1, 0, 1])
    rows = torch.cat([image[:, None].float(), boxes * 4], 1)  # a map of 4 x 4 cells
    maps = backbone.region_maps(features, boxes, image)
    assert maps.shape[1:] == (*backbone.region_map_shape, backbone.region_map_shape[1])
    torch.testing.assert_close(maps, roi_align(features, rows, 2, sampling_ratio=2, aligned=True))
