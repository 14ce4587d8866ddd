"""What every backbone offers: features of images, and embeddings of whole images and of regions from them.

I images, R regions, D embedding width, S side of the square input images. A backbone is one file here, or a module of
yours: a subclass of `Backbone` under the name `BACKBONE`, and the dataclass of its settings as `BACKBONE.Params`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torchvision.models.detection import FasterRCNN

from pipeline.core.bags import CLIP_MEAN, CLIP_STD, BagBatch
from pipeline.core.errors import ParamError
from pipeline.store.clip_checkpoint import ClipCheckpoint

Features = Any  # what `forward` makes of images, and the embeddings are read from


@dataclass(frozen=True)
class Sources:
    """What a backbone may start from.

    Attributes:
        clip: the CLIP that params name.
        detector: loads the Faster R-CNN that params name, with its architecture as `detection.build_architecture`
            reads it.
        embed_dim: width D of the knowledge bank.
        image_size: side S of the input images in pixels.
        root: what paths in params are relative to.
        note: takes each further file that a backbone reads, as an input of the run.
    """

    clip: ClipCheckpoint
    detector: Callable[[], tuple[FasterRCNN, dict[str, Any]]]
    embed_dim: int
    image_size: int
    root: Path = Path()
    note: Callable[[Path], object] = lambda _: None


class Backbone(nn.Module, ABC):
    """A visual encoder.

    Attributes:
        embed_dim: D.
        recompute: recompute inner activations in the backward pass rather than keep them (saves memory).
        from_scratch: prefixes of parameters that start from random weights; the others are pretrained, and train at
            `train.backbone_learning_rate`.
        frozen_by: the settings that keep all weights that `encoded` reads as they are, for messages.
        stored_shapes: of one image's tensors, `fixed_shapes`, where batches hold stored features; else empty.
    """

    Params: ClassVar[type]
    embed_dim: int
    recompute: bool = False
    from_scratch: ClassVar[tuple[str, ...]] = ()
    frozen_by: ClassVar[str | None] = None
    stored_shapes: tuple[tuple[int, ...], ...] = ()

    @classmethod
    @abstractmethod
    def build(cls, sources: Sources, params: Any) -> Self:
        """Return the backbone before training; random weights come from torch's global generator."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return a backbone of the same architecture, with any weights, from `config`."""

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What rebuilds the architecture: plain JSON values."""

    @abstractmethod
    def forward(self, images: Tensor) -> Features:
        """Map images [I, 3, S, S], normalized as CLIP expects, to features."""

    def features_of(self, batch: BagBatch) -> Features:
        """What `forward` makes of a batch's images; the stored features where it holds those in their place."""
        if not batch.features.shape[1]:
            return self(batch.images)
        sizes = [math.prod(shape) for shape in self.stored_shapes]
        parts = batch.features[:, 0].float().split(sizes, 1)
        return self.joined([part.unflatten(1, shape) for part, shape in zip(parts, self.stored_shapes, strict=True)])

    @abstractmethod
    def global_embedding(self, features: Features) -> Tensor:
        """v_g [I, D] of whole images."""

    @abstractmethod
    def region_embedding(self, features: Features, boxes: Tensor, image: Tensor) -> Tensor:
        """Embeddings [R, D] of boxes [R, 4], xyxy in 0..1 of their images; `image` int64 [R] are rows of the batch."""

    @property
    def region_bytes(self) -> int:
        """Memory that `region_embedding` takes for each region, about; the pairs of a crowd are cut by it.

        By default that of a grid of 7 x 7, twice.
        """
        return 2 * 7 * 7 * self.embed_dim * 4

    # Optional, for methods that read more than embeddings; each raises a ParamError where a backbone lacks it.

    @property
    def patch_width(self) -> int:
        """E of `patches`."""
        raise self._lacks("patches", "clip_resnet")

    def patches(self, features: Features) -> Tensor:
        """Tokens [I, P, E] of a square grid, row by row."""
        raise self._lacks("patches", "clip_resnet")

    @property
    def region_map_shape(self) -> tuple[int, int]:
        """Channels E and side s of `region_maps`."""
        raise self._lacks("maps of regions", "detector_fpn")

    def region_maps(self, features: Features, boxes: Tensor, image: Tensor) -> Tensor:
        """RoI-aligned maps [R, E, s, s] of boxes, as `region_embedding` takes them."""
        raise self._lacks("maps of regions", "detector_fpn")

    def encoded(self, images: Tensor) -> tuple[Tensor, ...]:
        """What of `forward` can be stored: tensors [I, *] that `joined` makes the features of; all that it returns."""
        features = self(images)
        return (features,) if isinstance(features, Tensor) else tuple(features)

    def joined(self, tensors: Sequence[Tensor]) -> Features:
        """Features of what `encoded` gave; weights that are read here may be trained."""
        raise self._lacks("features that can be stored", "clip_vit")

    def fixed_shapes(self, image_size: int) -> tuple[tuple[int, ...], ...]:
        """Shapes of what `encoded` makes of one image of that side; the backbone is in evaluation mode from now on.

        Raises:
            ParamError: training would change what it makes, or features of this kind can't be stored.
        """
        self.eval()
        example = next(self.parameters()).new_zeros(1, 3, image_size, image_size)
        with torch.enable_grad():  # which says whether a weight that is trained is read
            tensors = self.encoded(example)
            self.joined(tensors)
        if any(tensor.requires_grad for tensor in tensors):
            hint = f"set {self.frozen_by}" if self.frozen_by else "take another one, e.g. clip_vit"
            raise ParamError(f"model.backbone: {type(self).__name__} is trained, so its features change; {hint}")
        return tuple(tuple(tensor.shape[1:]) for tensor in tensors)

    def _lacks(self, what: str, other: str) -> ParamError:
        return ParamError(f"model.backbone: {type(self).__name__} has no {what}; take another one, e.g. {other}")


def recomputed(features: Tensor, stage: nn.Module) -> Any:
    """Run a stage without dropout, keeping only its input; the backward pass runs it once more."""
    return checkpoint(stage, features, use_reentrant=False, preserve_rng_state=False)


def renormalization(mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Scale and shift [3, 1, 1] that take pixels normalized as CLIP expects to those of another mean and deviation."""
    clip_mean, clip_std = torch.tensor(CLIP_MEAN), torch.tensor(CLIP_STD)
    own_mean, own_std = torch.tensor(mean), torch.tensor(std)
    return (clip_std / own_std).view(3, 1, 1), ((clip_mean - own_mean) / own_std).view(3, 1, 1)


def freeze_batch_norm(module: nn.Module) -> None:
    """Put every batch norm into evaluation mode and stop its gradients: statistics and affine stay as pretrained."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
            layer.requires_grad_(False)
            layer.__class__ = _FrozenBatchNorm2d


class _FrozenBatchNorm2d(nn.BatchNorm2d):
    """A batch norm that never changes: the same numbers, but its input is not kept for the backward pass.

    Attributes:
        in_place: write over the input, which nothing else reads; on the CPU, where a new tensor costs more than its
            numbers.
    """

    in_place: bool = False

    def forward(self, input: Tensor) -> Tensor:
        over = self.in_place and input.is_cpu and not torch.compiler.is_compiling()
        return _FixedScale.apply(input, self.weight, self.bias, self.running_mean, self.running_var, self.eps, over)


class _FixedScale(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        epsilon: float,
        over: bool,
    ) -> Tensor:
        ctx.save_for_backward(weight, mean, variance)
        ctx.epsilon = epsilon
        if over:
            ctx.mark_dirty(values)
            unused = weight.new_empty(0), weight.new_empty(0)
            torch.native_batch_norm(values, weight, bias, mean, variance, False, 0.0, epsilon, out=(values, *unused))
            return values
        return functional.batch_norm(values, mean, variance, weight, bias, training=False, eps=epsilon)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, mean, variance = ctx.saved_tensors
        # The second argument is the input; of fixed statistics the result does not depend on it, only on its form.
        values_gradient, _, _ = torch.ops.aten.native_batch_norm_backward(
            gradient, gradient, weight, mean, variance, None, None, False, ctx.epsilon, [True, False, False]
        )
        return values_gradient, None, None, None, None, None, None
