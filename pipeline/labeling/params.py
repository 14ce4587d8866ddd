"""Section `label` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.types import Fraction, KnownKeys


@dataclass(frozen=True)
class LabelParams(KnownKeys):
    """When CLIP's scores make a label; chosen on the toyworld's val split (docs/weak_labels.md)."""

    threshold: Fraction = 0.6  # of a class, as a part of its top score
    top: Fraction = 0.98  # quantile of a class's scores that is its top score
    union_weight: Fraction = 0.8  # of the best pair's union region in the score; the rest is the whole image's
