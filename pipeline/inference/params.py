"""Sections `infer` and `represent` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline.config.types import BatchSize, KnownKeys, MaxProposals, PartSize, Whole, within


@dataclass(frozen=True)
class InferParams(KnownKeys):
    """How many images and proposals at a time."""

    batch_size: BatchSize  # images; fewer where together they have more pairs than are computed at once
    part_size: PartSize  # images per resumable part
    max_proposals: MaxProposals = 100  # per image, best scores first


@dataclass(frozen=True)
class RepresentParams(KnownKeys):
    """Which pairs' representations are kept, and how exactly."""

    dtype: Literal["float16", "float32"]  # on disk
    pairs_per_image: Annotated[Whole, within(1, 10_000)] = 32  # kept, best products of detector scores first
