"""Settings of Explanation-HOI; the defaults are the published ones (HICO-DET)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline.config.types import KnownKeys, Whole, within


@dataclass(frozen=True)
class ExplanationHoiParams(KnownKeys):
    """`model.explanation_hoi`."""

    width: Annotated[Whole, within(1, 16_384)] = 256  # of every layer
    layers: Annotated[Whole, within(1, 16)] = 2  # of every part of the network
    sectors: Literal["published", "intended"] = "published"  # of an edge's direction; see `graph.edge_geometry`
    top_verbs: Annotated[Whole, within(1, 10_000)] = 50  # most probable verbs of an image, which are explained
