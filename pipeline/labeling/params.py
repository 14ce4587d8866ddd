"""Section `label` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.types import BatchSize, Fraction, KnownKeys, MaxProposals, PartSize


@dataclass(frozen=True)
class LabelParams(KnownKeys):
    """When CLIP's scores make a label; chosen on the toyworld's val split (docs/weak_labels.md)."""

    threshold: Fraction = 0.6  # of a class, as a part of its top score
    top: Fraction = 0.98  # quantile of a class's scores that is its top score
    union_weight: Fraction = 0.8  # of the best pair's union region in the score; the rest is the whole image's
    batch_size: BatchSize = 16
    part_size: PartSize = 256  # images per resumable part
    max_proposals: MaxProposals = 100  # per image, best scores first
