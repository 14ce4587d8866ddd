"""The recipe of the small CLIP with a vision transformer: it learns what the small CLIP with a ResNet sees.

From a corpus of this size and from captions alone a vision transformer learns far less than a ResNet. So it learns from
the ResNet, which was trained on the same images.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline.core.errors import ParamError
from pipeline.store.clip_architecture import ClipConfig
from pipeline.store.clip_checkpoint import ClipCheckpoint
from pipeline.store.openai_clip import CLIP, ModifiedResNet, VisionTransformer
from pipeline.toyworld.clip_recipe import ClipRecipe, Objective, contrastive_loss, similarities


@dataclass(frozen=True)
class ClipViTRecipe(ClipRecipe):
    """The same corpus, captions and size of file as the ResNet's."""

    warm_up: ClassVar[float] = 0.225
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 7e-4  # from 2e-3 on the losses stop falling early
    contrastive_weight: float = 0.2  # of CLIP's own loss beside the three of the distillation
    vision_width: int = 152  # two heads, as CLIP counts them
    vision_layers: int = 4
    vision_patch_size: int = 16  # divides the images of the toyworld as well, which have 160 pixels

    def architecture(self, vocab_size: int) -> ClipConfig:
        """As of `ClipRecipe`."""
        sizes = super().architecture(vocab_size)
        return replace(sizes, vision_layers=self.vision_layers, vision_patch_size=self.vision_patch_size)


def check_teacher(teacher: ClipCheckpoint, recipe: ClipViTRecipe) -> None:
    """Check that a CLIP can teach a student of this recipe.

    Raises:
        ParamError: its image tower is no ResNet, or its other sizes are not those of the recipe.
    """
    if not isinstance(teacher.model.visual, ModifiedResNet):
        raise ParamError(f"{teacher.name}: has a vision transformer; expected a CLIP of toy_clip, with a ResNet")
    sizes = vars(ClipConfig.of_model(teacher.model))
    for name in ("embed_dim", "image_resolution", *(name for name in sizes if name.startswith(("context", "transf")))):
        if getattr(recipe, name) != sizes[name]:
            raise ParamError(
                f"{teacher.name}: {name} is {sizes[name]}, expected the student's {getattr(recipe, name)}; "
                f"set --{name.replace('_', '-')} {sizes[name]}"
            )


class Distillation(Objective):
    """Vectors of images, of their cells and of a middle layer as the teacher's, beside the contrastive task.

    Each of the three is compared channel by channel, as `unexplained_variance`. The text encoder is the teacher's
    and is not trained, so that the vectors live in its space.

    Args:
        model: a freshly built CLIP with a vision transformer.
        teacher: a CLIP with a ResNet and with the sizes that `check_teacher` asks for.
        recipe: the weight of the contrastive task.
    """

    def __init__(self, model: CLIP, teacher: CLIP, recipe: ClipViTRecipe) -> None:
        super().__init__(model)
        texts = {name: weight for name, weight in teacher.state_dict().items() if not name.startswith("visual.")}
        model.load_state_dict(texts, strict=False)
        for name, weight in model.named_parameters():
            weight.requires_grad_(name.startswith("visual."))
        initialize(model.visual)
        self.teacher = copy.deepcopy(teacher.visual).requires_grad_(False).eval()
        self.dense = copy.deepcopy(self.teacher.layer4)  # without its stride: as many cells as layer 3
        self.dense[0].avgpool = self.dense[0].downsample[0] = nn.Identity()
        self.contrastive_weight = recipe.contrastive_weight
        blocks = model.visual.transformer.resblocks
        self.block = blocks[(len(blocks) - 1) // 2]
        self.middle = nn.Linear(recipe.vision_width, self.teacher.layer4[0].conv1.in_channels)

    def forward(self, images: Tensor, tokens: Tensor, right: Tensor) -> Tensor:
        """As of `Objective`."""
        # bfloat16 takes half the time on a CPU with AMX; the plain attention is faster there for so few tokens.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            with torch.no_grad():
                targets = self._taught(images)
            found = self._found(images)
        losses = [
            unexplained_variance(_resized(student.float(), target.shape[1]), target.float())
            for student, target in zip(found, targets, strict=True)
        ]
        logits = similarities(self.model, found[0][:, 0].float(), tokens)
        return sum(losses, self.contrastive_weight * contrastive_loss(logits, right))

    def _taught(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The teacher's vectors: of images [B, 1, D], of cells [B, P, D] and of its layer 3 [B, P, C]."""
        pool = self.teacher.attnpool
        vector, (middle,) = _run(self.teacher, images, [self.teacher.layer3])
        cells = pool.c_proj(pool.v_proj(_cells(self.dense(middle))))  # what a cell gives to the vector of an image
        return vector[:, None], cells, _cells(middle)

    def _found(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The student's counterparts of `_taught`, with its own patches as cells."""
        visual = self.model.visual
        vector, (middle, last) = _run(visual, images, [self.block, visual.transformer])
        patches = visual.ln_post(last[1:].transpose(0, 1)) @ visual.proj
        middle = middle[1:].transpose(0, 1)
        return vector[:, None], patches, self.middle(functional.layer_norm(middle, middle.shape[-1:]))


def unexplained_variance(found: Tensor, target: Tensor) -> Tensor:
    """Squared error in units of each channel's variance, averaged: 0 for a copy, 1 for the channels' means.

    Args:
        found, target: [..., C].
    """
    error = (found - target).square().flatten(0, -2).mean(0)
    variance = target.flatten(0, -2).var(0, correction=0)
    return (error / variance.clamp(min=1e-6)).mean()


def _run(network: nn.Module, images: Tensor, parts: Sequence[nn.Module]) -> tuple[Tensor, list[Tensor]]:
    """Output of a network, and those of some of its modules."""
    outputs: dict[nn.Module, Tensor] = {}
    hooks = [part.register_forward_hook(lambda part, _, output: outputs.update({part: output})) for part in parts]
    final = network(images)
    for hook in hooks:
        hook.remove()
    return final, [outputs[part] for part in parts]


def _cells(features: Tensor) -> Tensor:
    """Feature maps [B, C, g, g] as cells [B, g * g, C]."""
    return features.flatten(2).transpose(1, 2)


def _resized(cells: Tensor, count: int) -> Tensor:
    """Average the cells [B, P, C] of a square grid to a grid of so many."""
    if cells.shape[1] == count:
        return cells
    side = round(cells.shape[1] ** 0.5)
    grid = cells.transpose(1, 2).unflatten(2, (side, side))
    return _cells(functional.adaptive_avg_pool2d(grid, round(count**0.5)))


@torch.no_grad()
def initialize(visual: VisionTransformer) -> None:
    """Start as trained transformers look: positions of sines, and attention that looks at like tokens.

    Positions are those of MAE (He et al., CVPR 2022), attention is "mimetic" (Trockman and Kolter, ICML 2023), with
    that paper's factors. Random numbers are torch's global ones.
    """
    width = visual.conv1.out_channels
    visual.positional_embedding[0] = 0
    visual.positional_embedding[1:] = sine_positions(round((len(visual.positional_embedding) - 1) ** 0.5), width)
    identity = torch.eye(width)

    def halves(noise: float, own: float, rank: int) -> tuple[Tensor, Tensor]:
        """[W, rank] and [rank, W], whose product is close to `noise` and `own` times the identity."""
        left, size, right = torch.linalg.svd(noise * torch.randn(width, width) / width**0.5 + own * identity)
        root = size[:rank].sqrt()
        return left[:, :rank] * root, root[:, None] * right[:rank]

    for block in visual.transformer.resblocks:
        query, key, value = block.attn.in_proj_weight.chunk(3)
        head = width // block.attn.num_heads
        for rows in torch.arange(width).split(head):
            into, out = halves(0.7, 0.7, head)
            query[rows], key[rows] = into.T, out
        into, out = halves(0.4, -0.4, width)
        value[:], block.attn.out_proj.weight[:] = into.T, out.T


def sine_positions(side: int, width: int) -> Tensor:
    """Sines and cosines of row and column at geometric wavelengths, [side * side, width]; channels left over are 0."""
    quarter = width // 4
    angles = torch.arange(side)[:, None] * 10000 ** (-torch.arange(quarter) / quarter)  # [side, quarter]
    waves = torch.cat([angles.sin(), angles.cos()], 1)
    rows = waves[:, None].expand(side, side, -1)
    both = torch.cat([rows, rows.transpose(0, 1)], 2).flatten(0, 1)
    return functional.pad(both, (0, width - both.shape[1]))
