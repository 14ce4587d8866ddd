from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import pytest
import torch
from torch.nn import functional
from torchvision.ops import roi_align
from torchvision.transforms.functional import normalize

from pipeline.backbones.base import Sources
from pipeline.backbones.dinov2 import DinoV2, DinoV2Params
from pipeline.core.bags import CLIP_MEAN, CLIP_STD
from pipeline.core.errors import ParamError
from tests.small_dinov2 import random_dinov2, save_dinov2

BOXES, IMAGE = torch.tensor([[0.1, 0.2, 0.9, 0.7], [0, 0, 1, 1], [0.5, 0.25, 0.75, 1]]), torch.tensor([1, 0, 1])


@pytest.fixture
def encoder(seed):
    return random_dinov2(seed)


def wrapped(encoder, **params) -> DinoV2:
    torch.manual_seed(5)
    return DinoV2(encoder, encoder.config.to_dict(), DinoV2Params(**params), 24).eval()


def pixels(side=64) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def images(side=64) -> torch.Tensor:
    return normalize(pixels(side), CLIP_MEAN, CLIP_STD)


def as_published(side=64) -> torch.Tensor:
    return normalize(pixels(side), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(("kind", "registers"), [("Dinov2WithRegisters", 4), ("Dinov2", 0)])
def test_features_are_those_of_transformers_on_pixels_of_imagenets_normalization(seed, kind, registers):
    encoder = random_dinov2(seed, kind)
    backbone = wrapped(encoder)
    features, expected = backbone(images()), encoder(as_published())
    tokens = expected.last_hidden_state[:, 1 + registers :]
    assert tokens.shape == (2, 16, backbone.patch_width)
    torch.testing.assert_close(backbone.patches(features), tokens, atol=1e-4, rtol=1e-4)
    global_embedding = backbone.projection(expected.pooler_output)
    torch.testing.assert_close(backbone.global_embedding(features), global_embedding, atol=1e-4, rtol=1e-4)


def test_other_sizes_interpolate_the_positions_and_leave_the_given_model_alone(seed, encoder):
    before = copy.deepcopy(encoder.state_dict())
    features = wrapped(encoder, trained_blocks=0)(images(96))
    larger, positions = random_dinov2(seed, image_size=96), encoder.embeddings.position_embeddings.data
    cells = positions[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    grown = functional.interpolate(cells, (6, 6), mode="bicubic", antialias=True).flatten(2).transpose(1, 2)
    larger.load_state_dict(before | {"embeddings.position_embeddings": torch.cat([positions[:, :1], grown], 1)})
    expected = larger(as_published(96)).last_hidden_state[:, 5:]
    assert features.regions.shape == (2, 24, 6, 6)
    torch.testing.assert_close(features.patches, expected, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in before.items())
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_regions_are_means_of_projected_patches(encoder):
    backbone = wrapped(encoder, roi_size=2)
    features = backbone(images())
    projected = backbone.projection(backbone.patches(features)).transpose(1, 2).unflatten(2, (4, 4))
    rows = torch.cat([IMAGE[:, None].float(), BOXES * 4], 1)
    pooled = roi_align(projected, rows, 2, sampling_ratio=2, aligned=True)
    assert backbone.region_map_shape == (24, 2)
    torch.testing.assert_close(backbone.region_maps(features, BOXES, IMAGE), pooled, atol=1e-5, rtol=1e-5)
    regions = backbone.region_embedding(features, BOXES, IMAGE)
    torch.testing.assert_close(regions, pooled.mean((2, 3)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("blocks", [0, 1, 9, None])
def test_the_projection_is_trained_from_scratch_and_the_last_blocks_with_the_norm_behind_them(encoder, blocks):
    backbone = wrapped(encoder, trained_blocks=blocks)
    named = dict(backbone.named_parameters())
    scratch = {name for name in named if name.startswith(backbone.from_scratch)}
    assert scratch == {"projection.weight", "projection.bias"}
    trained = {name for name, parameter in named.items() if parameter.requires_grad} - scratch
    first = 3 - min(3, 0 if blocks is None else blocks)
    last = tuple(f"encoder.encoder.layer.{number}." for number in range(first, 3))
    expected = {name for name in named if blocks and name.startswith((*last, "encoder.layernorm."))}
    assert trained == (named.keys() - scratch if blocks is None else expected)


def test_recomputing_gives_the_same_gradients(encoder):
    gradients = []
    for recompute in (False, True):
        backbone = wrapped(encoder, trained_blocks=2)
        backbone.recompute = recompute
        backbone(images()).regions.square().sum().backward()
        gradients.append({name: p.grad for name, p in backbone.named_parameters() if p.grad is not None})
    assert len(gradients[0]) > 20 and gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def sources(root, noted, size=64) -> Sources:
    return Sources(clip=None, detector=None, embed_dim=24, image_size=size, root=root, note=noted.append)


def test_what_is_built_needs_its_folder_no_more_and_its_files_are_inputs_of_the_run(tmp_path, encoder):
    folder, noted = save_dinov2(tmp_path / "dinov2", encoder), []
    backbone = DinoV2.build(sources(tmp_path, noted), DinoV2Params(weights="dinov2", trained_blocks=1)).eval()
    assert noted == [folder / "config.json", folder / "model.safetensors"]
    for name, value in encoder.state_dict().items():
        assert torch.equal(backbone.encoder.state_dict()[name], value)
    shutil.rmtree(folder)
    again = DinoV2.from_config(backbone.config).eval()
    again.load_state_dict(backbone.state_dict())
    for ours, theirs in zip(again(images()), backbone(images()), strict=True):
        assert torch.equal(ours, theirs)


def test_a_random_one_reads_the_sizes_alone(tmp_path, encoder):
    (save_dinov2(tmp_path / "dinov2", encoder) / "model.safetensors").write_bytes(b"")
    noted, params = [], DinoV2Params(weights="dinov2", pretrained=False)
    with pytest.raises(Exception, match=r"model\.safetensors: cannot be read \(an empty file\)"):
        DinoV2.build(sources(tmp_path, []), replace(params, pretrained=True))
    backbone = DinoV2.build(sources(tmp_path, noted), params)
    assert [path.name for path in noted] == ["config.json"]
    assert len(backbone.blocks) == 3 and backbone.patch_width == 16


def test_patches_that_do_not_divide_the_images_are_one_line(tmp_path, encoder):
    save_dinov2(tmp_path, encoder)
    with pytest.raises(ParamError, match="image_size is 72; expected a multiple of DINOv2's patch size 16"):
        DinoV2.build(sources(tmp_path, [], 72), DinoV2Params(weights="."))
