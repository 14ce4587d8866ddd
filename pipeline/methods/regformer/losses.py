"""The focal loss of image-level HOI logits."""

from __future__ import annotations

from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.methods.base import BatchCounts, Losses, Outputs, at_least_one
from pipeline.methods.focal import focal_loss
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairIndex
from pipeline.methods.regformer.params import RegFormerParams


class RegFormerLosses(Losses):
    """One term, over images alone."""

    def __init__(self, classes: LabeledClasses, params: RegFormerParams) -> None:
        super().__init__()
        self.classes, self.params = classes, params

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """The summed focal loss over the number of labels of the whole batch."""
        loss = focal_loss(
            outputs["image_logits"], batch.labels, alpha=self.params.focal_alpha, gamma=self.params.focal_gamma
        )
        return {"focal": (loss * self.classes.seen).sum() / at_least_one(whole.labels)}
