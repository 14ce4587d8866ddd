"""Section `prepare` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline.config.types import KnownKeys, Real, Seed, Text, Whole, placeholders, within
from pipeline.core.names import Split

DRAWN_CAPTIONS = "drawn"  # value of `captions`


@dataclass(frozen=True)
class PrepareParams(KnownKeys):
    """Where the annotations and images come from. Paths are relative to the repository root."""

    reader: Text  # a file of pipeline/truth/datasets, or the dotted name of a module of yours
    source: Annotated[Text, placeholders()] | None = None  # folder of the dataset, here or anywhere; null: toyworld
    num_images: dict[Split, Annotated[Whole, within(1, 1_000_000)]] | None = None  # toyworld: images of each split
    exponents: dict[Split, Annotated[Real, within(-10, 10)]] | None = None  # toyworld: power of the class frequencies
    image_size: Annotated[Whole, within(32, 4096)] | None = None  # toyworld: pixels
    val_fraction: Annotated[Real, within(0, 0.5)] | None = None  # of train, held out as val; null: the dataset's val
    labels: Literal["annotated", "captions", "clip"] = "annotated"  # of the training images; the others: annotated
    captions: Text | None = None  # file of captions, CSV or COCO JSON; "drawn": toyworld writes its own
    synonyms: Text | None = None  # JSON of further names of categories and verbs in captions
    seed: Seed = 0
