"""Settings of `alignformer_like`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pipeline.config.types import Real, Whole, within
from pipeline.methods.pair_trunk import PairTrunkParams


@dataclass(frozen=True)
class AlignFormerParams(PairTrunkParams):
    """`model.alignformer_like`; `pair_hidden` is the width inside the decoder's MLPs, and `spatial_*` are not used."""

    queries: Annotated[Whole, within(1, 1000)] = 100  # pairs that an image can hold
    layers: Annotated[Whole, within(1, 12)] = 6  # of the decoder; each has its own loss
    width: Annotated[Whole, within(16, 2048)] = 256
    heads: Annotated[Whole, within(2, 64)] = 8
    copies: Annotated[Whole, within(1, 100)] = 1  # queries that one target is matched with
    prior_decay: Annotated[Real, within(0, 1)] = 0.98  # of the geometric statistics, for each further label of a verb
