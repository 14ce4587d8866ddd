"""Section `evaluate` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator

from pipeline.config.types import KnownKeys, Real, Text, VariantName, within
from pipeline.core.outputs import Link

# Keys of a metrics file beside its groups of classes; those of V-COCO's protocol begin with ap_ or per_.
OTHER_METRICS = (
    *("dataset", "variant", "split", "boxes", "setting", "max_recall", "groups", "counts", "image_level"),
    *("at_break_even", "gain_if_fixed"),
)


def _check_group_name(name: str) -> str:
    if name in OTHER_METRICS or name.startswith(("ap_", "per_")):
        raise ValueError("another name: the metrics have this key already")
    return name


# Ways to score by HICO-DET's protocol: `hicodet.SETTINGS` says what each does.
Setting = Literal["default", "known_object", "explanation_hoi", "upt", "gen_vlkt"]
GroupName = Annotated[VariantName, AfterValidator(_check_group_name)]


@dataclass(frozen=True)
class EvaluateParams(KnownKeys):
    """Score fusion, eq. (3), and the protocol. A change needs no network, only seconds of numpy."""

    protocol: Literal["hicodet", "vcoco"]  # vcoco: role and agent AP beside the mAP over HOI classes
    weights: dict[Text, Annotated[Real, within(0, 100)]]  # exponent of each factor; 1 if not named, 0 leaves it out
    setting: Setting = "default"
    pair_nms: Annotated[Real, within(0, 1)] | None = None  # largest overlap with a better pair of the same class
    class_groups: dict[GroupName, tuple[Text, ...]] = field(default_factory=dict)  # patterns of "verb object", by group
    unseen: Text | None = None  # a class split, whose "unseen" and "seen" classes are groups too: that of train.unseen
    links: dict[Text, Link] = field(default_factory=dict)  # from logits to a factor, in place of the method's own
    times_run: VariantName | None = None  # a factor "times": the sigmoid of this run's pair logits (Abl 3: CLIP's own)
