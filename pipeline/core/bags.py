"""A batch of bags: images with their proposals, flat, and the image-level labels. What the network and losses see.

I images, N proposals of all of them, C object categories, H HOI classes, L labels of pairs. Annotated boxes enter as
labels of proposals' pairs, and only where a run asks for them (`train.supervision`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

# Mean and standard deviation of CLIP's preprocessing, for RGB in 0..1: OpenAI's constants.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class TensorFields:
    """Base of dataclasses that hold tensors alone."""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Self:
        """Return a copy on a device."""
        return self._with_each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Return a copy in page-locked memory (called by the data loader)."""
        return self._with_each(lambda tensor: tensor.pin_memory())

    def _with_each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(**{name: change(tensor) for name, tensor in vars(self).items()})


@dataclass(frozen=True)
class BagBatch(TensorFields):
    """One ragged batch.

    Attributes:
        images: float32 [I, 3, S, S], normalized as CLIP expects; every image is resized to the same square.
            [I, 3, 0, 0] where the batch holds features in their place.
        features: stored ones of each image, flat, in `Backbone.features_of`'s order: [I, V, F], first those to be used,
            then, where V is 2, those of the mirror image; [I, 0, 0] where there are none.
        image_sizes: float32 [I, 2], original (width, height) in pixels.
        proposal_offsets: int64 [I + 1]; rows offsets[i]:offsets[i + 1] belong to image i.
        boxes: float32 [N, 4] xyxy, original pixels.
        scores: float32 [N], the detector's.
        object_ids: int64 [N].
        class_probabilities: float32 [N, C], the detector's; [N, 0] where the method does not ask for them.
        labels: float32 [I, H], 1 where the HOI class occurs in the image; zeros at inference.
        pair_labels: int64 [L, 3], annotated pairs: rows of the human's and the object's proposal, and the HOI class.
        has_boxes: bool [I], images whose pairs are annotated; none under image-level labels.
        image_index: int64 [I], rows of the split's manifest.
    """

    images: Tensor
    features: Tensor
    image_sizes: Tensor
    proposal_offsets: Tensor
    boxes: Tensor
    scores: Tensor
    object_ids: Tensor
    class_probabilities: Tensor
    labels: Tensor
    pair_labels: Tensor
    has_boxes: Tensor
    image_index: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def proposal_image(self) -> Tensor:
        """Image of each proposal, int64 [N]."""
        counts = self.proposal_offsets.diff()
        rows = torch.arange(len(counts), device=counts.device)
        # With the size given, the host does not wait for the GPU.
        return torch.repeat_interleave(rows, counts, output_size=len(self.object_ids))
