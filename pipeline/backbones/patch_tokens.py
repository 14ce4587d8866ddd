"""What vision transformers share: regions RoIAligned from their patches, and which of their blocks are trained."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from pipeline.backbones.base import Backbone, recomputed
from pipeline.backbones.roi_tokens import map_cells, roi_tokens
from pipeline.core.errors import ParamError


class PatchFeatures(NamedTuple):
    """Features of images.

    Attributes:
        image: v_g [I, D].
        patches: tokens of the last layer, normalized [I, P, W].
        regions: what regions are pooled from [I, D, g, g].
    """

    image: Tensor
    patches: Tensor
    regions: Tensor


class PatchTokens(Backbone):
    """A backbone whose features are `PatchFeatures`; `params` holds `roi_size` and `sampling_ratio` of RoIAlign."""

    params: Any

    @abstractmethod
    def project(self, tokens: Tensor) -> Tensor:
        """Tokens [*, W] in D dimensions, [*, D]."""

    def forward(self, images: Tensor) -> PatchFeatures:
        """Map images [I, 3, S, S], normalized as CLIP expects, to features."""
        return self.joined(self.encoded(images))

    def joined(self, tensors: Sequence[Tensor]) -> PatchFeatures:
        """Features of the class token and the square of patches [I, 1 + P, W], and of those that regions are of."""
        final, pooled = tensors[0], tensors[-1][:, 1:]
        side = math.isqrt(pooled.shape[1])
        return PatchFeatures(
            image=self.project(final[:, 0]),
            patches=final[:, 1:],
            regions=self.project(pooled).transpose(1, 2).unflatten(2, (side, side)),
        )

    def run_block(self, block: nn.Module, tokens: Tensor) -> Any:
        """Run a block of the transformer; recomputed in the backward pass where asked, and where there is one."""
        return recomputed(tokens, block) if self.recompute and tokens.requires_grad else block(tokens)

    def patches(self, features: PatchFeatures) -> Tensor:
        """Normalized tokens of the last layer, [I, P, W]."""
        return features.patches

    def global_embedding(self, features: PatchFeatures) -> Tensor:
        """v_g [I, D]."""
        return features.image

    def region_embedding(self, features: PatchFeatures, boxes: Tensor, image: Tensor) -> Tensor:
        """Mean over RoIAlign's bins of the projected patches: [R, D] of boxes [R, 4] in 0..1 of their images."""
        return self._pooled(features.regions, boxes, image).mean(1)

    @property
    def region_map_shape(self) -> tuple[int, int]:
        """D, and the side of RoIAlign's grid."""
        return self.embed_dim, self.params.roi_size

    def region_maps(self, features: PatchFeatures, boxes: Tensor, image: Tensor) -> Tensor:
        """RoIAlign of the projected patches: [R, D, s, s]."""
        return self._pooled(features.regions, boxes, image).transpose(1, 2).unflatten(2, (self.params.roi_size,) * 2)

    def _pooled(self, cells: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """RoIAlign to tokens [R, s * s, D]."""
        size, samples = self.params.roi_size, self.params.sampling_ratio
        return roi_tokens(cells, map_cells(boxes, cells), image, roi_size=size, sampling_ratio=samples)


def train_last_blocks(encoder: nn.Module, blocks: Any, count: int | None, then: Iterable[Any]) -> int:
    """Freeze an encoder but for its last blocks and what follows them; return the number of frozen blocks.

    Args:
        count: of trained blocks; None trains the whole encoder, 0 nothing.
        then: modules and parameters behind the blocks, trained with them.
    """
    if count is None:
        return 0
    encoder.requires_grad_(False)
    frozen = max(0, len(blocks) - count)
    for part in (*blocks[frozen:], *then) if count else ():
        part.requires_grad_(True)
    return frozen


def check_patches(image_size: int, patch: int, whose: str) -> None:
    """Refuse images that patches do not divide.

    Raises:
        ParamError: names both sizes.
    """
    if image_size % patch:
        raise ParamError(f"model.image_size is {image_size}; expected a multiple of {whose} patch size {patch}")
