import copy
from dataclasses import replace

import pytest
import torch
from clip.model import CLIP, VisionTransformer
from torchvision.ops import roi_align

from pipeline.backbones.base import Sources
from pipeline.backbones.clip_resnet import ClipResNet, ClipResNetParams
from pipeline.backbones.clip_vit import ClipViT, ClipViTParams
from pipeline.core.errors import ParamError
from tests.small_model import clip_of, random_vit

BOXES, IMAGE = torch.tensor([[0.1, 0.2, 0.9, 0.7], [0, 0, 1, 1], [0.5, 0.25, 0.75, 1]]), torch.tensor([1, 0, 1])


@pytest.fixture
def visual(seed) -> VisionTransformer:
    return random_vit(seed)


def images(side=64):
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def trained_names(backbone) -> set[str]:
    return {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}


def test_global_vector_equals_encode_image():
    torch.manual_seed(0)
    clip_model = CLIP(
        embed_dim=24, image_resolution=64, vision_layers=3, vision_width=64, vision_patch_size=16,
        context_length=8, vocab_size=50, transformer_width=16, transformer_heads=2, transformer_layers=1,
    ).eval()  # fmt: skip
    backbone = ClipViT(clip_model.visual, ClipViTParams()).eval()
    ours = backbone.global_embedding(backbone(images()))
    torch.testing.assert_close(ours, clip_model.encode_image(images()), atol=1e-5, rtol=1e-5)


def test_other_sizes_interpolate_the_positions_and_leave_the_given_module_alone(visual):
    before = copy.deepcopy(visual.state_dict())
    backbone = ClipViT(visual, ClipViTParams(trained_blocks=0))
    features = backbone(images(96))
    assert features.regions.shape == (2, 24, 6, 6) and backbone.patches(features).shape == (2, 36, backbone.patch_width)
    larger = random_vit(0)
    larger.load_state_dict(visual.state_dict())
    cells = visual.positional_embedding[1:].T.reshape(1, 16, 4, 4)
    grown = torch.nn.functional.interpolate(cells, size=(6, 6), mode="bicubic").flatten(2)[0].T
    larger.positional_embedding = torch.nn.Parameter(torch.cat([visual.positional_embedding[:1], grown]))
    torch.testing.assert_close(backbone.global_embedding(features), larger(images(96)), atol=1e-5, rtol=1e-5)
    assert all(torch.equal(value, visual.state_dict()[name]) for name, value in before.items())
    assert all(parameter.requires_grad for parameter in visual.parameters())


def test_regions_are_means_of_projected_patches(visual):
    backbone = ClipViT(visual, ClipViTParams(roi_size=2))
    features = backbone(images())
    projected = (backbone.patches(features) @ visual.proj).transpose(1, 2).unflatten(2, (4, 4))
    rows = torch.cat([IMAGE[:, None].float(), BOXES * 4], 1)
    pooled = roi_align(projected, rows, 2, sampling_ratio=2, aligned=True)
    maps = backbone.region_maps(features, BOXES, IMAGE)
    assert maps.shape[1:] == (*backbone.region_map_shape, backbone.region_map_shape[1])
    torch.testing.assert_close(maps, pooled, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        backbone.region_embedding(features, BOXES, IMAGE), pooled.mean((2, 3)), atol=1e-5, rtol=1e-5
    )


def test_values_are_the_last_block_where_each_token_sees_itself_alone(visual):
    backbone, alone = ClipViT(visual, ClipViTParams(regions="values")), copy.deepcopy(visual)
    alone.transformer.resblocks[-1].attn_mask = torch.full((17, 17), -torch.inf).fill_diagonal_(0)
    expected = ClipViT(alone, ClipViTParams())(images())
    features = backbone(images())
    torch.testing.assert_close(features.regions, expected.regions, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features.image, visual(images()), atol=1e-5, rtol=1e-5)  # v_g stays CLIP's


@pytest.mark.parametrize("blocks", [0, 1, 9])
def test_the_last_blocks_are_trained_with_what_follows_them(visual, blocks):
    trained = trained_names(ClipViT(visual, ClipViTParams(trained_blocks=blocks)))
    first = 3 - min(blocks, 3)
    expected = {name for name, _ in ClipViT(visual, ClipViTParams()).named_parameters() if after(name, first)}
    assert trained == (expected if blocks else set())


def after(name: str, first: int) -> bool:
    """Whether a parameter is of block `first`, a later one, or of what follows the blocks."""
    _, part, *rest = name.split(".")
    return part in ("ln_post", "proj") or (part == "transformer" and int(rest[1]) >= first)


@pytest.mark.parametrize("regions", ["tokens", "values"])
def test_low_rank_changes_start_at_nothing_and_are_all_that_is_trained(visual, regions):
    plain = ClipViT(visual, ClipViTParams(regions=regions))
    backbone = ClipViT(visual, ClipViTParams(regions=regions, trained_blocks=0, lora_rank=2))
    features = backbone(images())
    for ours, theirs in zip(features, plain(images()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert trained_names(backbone) == {name for name, _ in backbone.named_parameters() if name.startswith("changes.")}
    (features.image.sum() + features.regions.square().sum()).backward()
    changed = {name for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    assert changed == trained_names(backbone)
    with torch.no_grad():
        backbone.changes["2_value"].up.fill_(0.5)
    again = backbone(images())
    assert not torch.allclose(again.image, features.image) and not torch.allclose(again.regions, features.regions)


def test_recomputing_gives_the_same_gradients(visual):
    gradients = []
    for recompute in (False, True):
        backbone = ClipViT(visual, ClipViTParams(trained_blocks=2))
        backbone.recompute = recompute
        backbone(images()).regions.square().sum().backward()
        gradients.append({name: p.grad for name, p in backbone.named_parameters() if p.requires_grad})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_a_config_rebuilds_the_architecture_with_its_activation(visual):
    for block in visual.transformer.resblocks:
        block.mlp.gelu = torch.nn.GELU()
    backbone = ClipViT(visual, ClipViTParams(trained_blocks=1, lora_rank=1)).eval()
    again = ClipViT.from_config(backbone.config).eval()
    again.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(again(images()).regions, backbone(images()).regions)


def test_what_does_not_fit_is_one_line(visual, small_visual):
    def build(backbone, visual, params, size=64):
        return backbone.build(Sources(clip_of(visual), lambda: None, 24, size), params)

    params = ClipViTParams()
    for arguments, message in (
        ((ClipViT, small_visual, params), "clip_vit, but CLIP small has a ResNet; set model.backbone to clip_resnet"),
        ((ClipResNet, visual, ClipResNetParams()), "clip_resnet, but CLIP small has a vision transformer"),
        ((ClipViT, visual, params, 72), "model.image_size is 72; expected a multiple of CLIP's patch size 16"),
        ((ClipViT, visual, replace(params, lora_rank=2)), "trained_blocks is null: all are; set trained_blocks to 0"),
    ):
        with pytest.raises(ParamError, match=message):
            build(*arguments)
    assert isinstance(build(ClipViT, visual, replace(params, pretrained=False)), ClipViT)
