"""A batch of bags: images with their proposals, flat, and the image-level labels. What the network and losses see.

I images, N proposals of all of them, H HOI classes. No boxes of ground truth can enter here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class BagBatch:
    """One ragged batch.

    Attributes:
        images: float32 [I, 3, S, S], normalised as CLIP expects; every image is resized to the same square.
        image_sizes: float32 [I, 2], original (width, height) in pixels.
        proposal_offsets: int64 [I + 1]; rows offsets[i]:offsets[i + 1] belong to image i.
        boxes: float32 [N, 4] xyxy, original pixels.
        object_ids: int64 [N].
        labels: float32 [I, H], 1 where the HOI class occurs in the image; zeros at inference.
        image_index: int64 [I], rows of the split's manifest.
    """

    images: Tensor
    image_sizes: Tensor
    proposal_offsets: Tensor
    boxes: Tensor
    object_ids: Tensor
    labels: Tensor
    image_index: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def proposal_image(self) -> Tensor:
        """Image of each proposal, int64 [N]."""
        counts = self.proposal_offsets.diff()
        rows = torch.arange(len(counts), device=counts.device)
        # The size is known here; asked for on a GPU, it would be waited for.
        return torch.repeat_interleave(rows, counts, output_size=len(self.object_ids))

    def to(self, device: torch.device, *, non_blocking: bool = False) -> BagBatch:
        """Return the batch on a device."""
        moved = {item.name: getattr(self, item.name).to(device, non_blocking=non_blocking) for item in fields(self)}
        return BagBatch(**moved)

    def pin_memory(self) -> BagBatch:
        """Return the batch in page-locked memory (called by the data loader)."""
        return BagBatch(**{item.name: getattr(self, item.name).pin_memory() for item in fields(self)})
