"""Section `evaluate` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipeline.config.types import KnownKeys, Real, Text, VariantName, within
from pipeline.core.outputs import Link


@dataclass(frozen=True)
class EvaluateParams(KnownKeys):
    """Score fusion, eq. (3), and the protocol. A change needs no network, only seconds of numpy."""

    protocol: Literal["hicodet", "vcoco"]  # vcoco: role and agent AP beside the mAP over HOI classes
    weights: dict[Text, Annotated[Real, within(0, 100)]]  # exponent of each factor; 1 if not named, 0 leaves it out
    setting: Literal["default", "known_object", "explanation_hoi"] = "default"
    links: dict[Text, Link] = field(default_factory=dict)  # from logits to a factor, in place of the method's own
    times_run: VariantName | None = None  # a factor "times": the sigmoid of this run's pair logits (Abl 3: CLIP's own)
