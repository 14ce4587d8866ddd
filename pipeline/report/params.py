"""Sections `report` and `tsne` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pipeline.config.types import KnownKeys, Real, Seed, Whole, within


@dataclass(frozen=True)
class ReportParams(KnownKeys):
    """What the pictures show."""

    gallery_images: Annotated[Whole, within(1, 10_000)]  # of the page, embedded
    num_images: Annotated[Whole, within(1, 10_000)] = 24  # of the contact sheets
    pairs_per_image: Annotated[Whole, within(1, 10_000)] = 4


@dataclass(frozen=True)
class TsneParams(KnownKeys):
    """The sample that App. A and D draw, and what is measured on it."""

    num_classes: Annotated[Whole, within(2, 10_000)] = 80  # HOI classes drawn, at random where there are more
    samples_per_class: Annotated[Whole, within(2, 10_000)] = 50  # pairs per HOI class, at random where there are more
    neighbors: Annotated[Whole, within(1, 10_000)] = 10  # nearest pairs, whose classes are counted
    perplexity: Annotated[Real, within(1, 10_000)] = 30.0
    seed: Seed = 0
