import math

import pytest
import torch

from pipeline.backbones.clip_vit import ClipViT, ClipViTParams
from pipeline.core.errors import ParamError
from pipeline.store.clip_architecture import build_clip
from pipeline.store.clip_checkpoint import load_clip
from pipeline.toyworld.clip_distillation import (
    ClipViTRecipe,
    Distillation,
    check_teacher,
    sine_positions,
    unexplained_variance,
)
from tests.conftest import ROOT

WEIGHTS = ROOT / "pipeline/toyworld/weights"
RECIPE = ClipViTRecipe(vision_layers=2, vision_width=64)


@pytest.fixture(scope="module")
def teacher():
    return load_clip(str(WEIGHTS / "clip.safetensors"))


@pytest.fixture
def objective(teacher):
    torch.manual_seed(0)
    return Distillation(build_clip(RECIPE.architecture(len(teacher.token_ids))), teacher.model, RECIPE)


def test_unexplained_variance_by_hand():
    target = torch.tensor([[[0.0, 10.0]], [[2.0, 30.0]]])  # variances 1 and 100
    assert unexplained_variance(target, target) == 0
    assert unexplained_variance(torch.tensor([1.0, 20.0]).expand(2, 1, 2), target) == 1
    assert unexplained_variance(target + torch.tensor([0.0, 10.0]), target) == 0.5


def test_a_student_learns_with_the_teachers_text_encoder_as_it_is(teacher, objective):
    model, images = objective.model, torch.randn(6, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    tokens, right = teacher.tokenize(["a photo"] * 6), torch.eye(6).bool()
    learned = [weight for weight in objective.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=2e-3)
    losses = []
    for _ in range(12):
        losses.append(objective(images, tokens, right))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]
    assert all(weight.grad is not None for weight in learned)
    assert {name.split(".")[0] for name, weight in model.named_parameters() if weight.requires_grad} == {"visual"}
    assert torch.equal(model.encode_text(tokens), teacher.model.encode_text(tokens))


def test_patches_are_those_that_regions_are_pooled_from(objective):
    """The student's vectors against another implementation, which the methods use."""
    images = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    visual = objective.model.visual
    vectors, patches, _ = objective._found(images)
    backbone = ClipViT(visual, ClipViTParams())
    (tokens,) = backbone.encoded(images)
    torch.testing.assert_close(torch.cat([vectors, patches], 1), backbone.project(tokens), atol=1e-4, rtol=1e-4)


def test_sine_positions_by_hand():
    positions = sine_positions(3, 9)  # two wavelengths, of 1 and 100 cells per radian; one channel is left over
    row, column = 2, 1
    expected = [f(angle / scale) for angle in (row, column) for f in (math.sin, math.cos) for scale in (1, 100)]
    torch.testing.assert_close(positions[row * 3 + column], torch.tensor([*expected, 0.0]))


def test_attention_starts_by_looking_at_like_tokens(objective):
    for block in objective.model.visual.transformer.resblocks:
        query, key, value = block.attn.in_proj_weight.detach().chunk(3)
        moved = value.T @ block.attn.out_proj.weight.detach().T
        assert moved.diagonal().mean() == pytest.approx(-0.4, abs=0.05)
        assert (query.T @ key).diagonal().mean() > 0.5 > abs((query.T @ key).mean())


def test_a_teacher_that_does_not_fit_is_refused(teacher):
    with pytest.raises(ParamError, match="has a vision transformer; expected a CLIP of toy_clip"):
        check_teacher(load_clip(str(WEIGHTS / "clip_vit.safetensors")), RECIPE)
    with pytest.raises(ParamError, match="embed_dim is 96, expected the student's 8; set --embed-dim 96"):
        check_teacher(teacher, ClipViTRecipe(embed_dim=8))
