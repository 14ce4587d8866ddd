"""`bilevel`: the method of the paper, and the rows of Tables 2, 4 and 5 that switch parts of it off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from pipeline.core.bags import BagBatch
from pipeline.core.outputs import OutputColumn
from pipeline.methods.base import Losses, Method, Parts
from pipeline.methods.bilevel.losses import BilevelLosses, calibrated_bias
from pipeline.methods.bilevel.network import BilevelNetwork
from pipeline.methods.bilevel.params import BilevelParams
from pipeline.methods.image_labels import LabeledClasses


class Bilevel(Method):
    """Scores by eq. (3), trained by eq. (4)."""

    Params = BilevelParams
    params: BilevelParams

    @property
    def columns(self) -> tuple[OutputColumn, ...]:
        """s_p, s_g and s_b, those that are switched on."""
        columns = [OutputColumn("interaction_logits", "pair", "verbs", "pairwise", "softmax")]
        if self.params.hoi_recognition:
            columns.append(OutputColumn("image_logits", "image", "hois", "global"))
        if self.params.relatedness:
            columns.append(OutputColumn("relatedness_logits", "pair", None, "relatedness"))
        if self.params.union_score:
            columns.append(OutputColumn("union_log_probabilities", "pair", "verbs", "union", "exp"))
        return tuple(columns)

    @property
    def loss_names(self) -> tuple[str, ...]:
        """L_g, L_p and L_b, those that are switched on."""
        used = {
            "global": self.params.hoi_recognition,
            "pair": True,
            "relatedness": self.params.relatedness,
            "refinement": self.params.refinement_heads > 0,
        }
        return tuple(name for name, is_used in used.items() if is_used)

    def build(self, parts: Parts) -> BilevelNetwork:
        """The two-branch network."""
        return BilevelNetwork(parts, self.params)

    def losses(self, classes: LabeledClasses) -> Losses:
        """The terms of eq. (4)."""
        return BilevelLosses(classes, self.params)

    def calibrate(self, network: Any, batches: Iterable[BagBatch], label_rate: float) -> None:
        """Start s_g so that its mean probability is the label rate, which CLIP's temperature alone would not give."""
        if self.params.hoi_recognition and self.params.calibrate_global_bias and 0 < label_rate < 1:
            logits = [network.image_logits(network.backbone.features_of(batch)) for batch in batches]
            network.global_bias.fill_(calibrated_bias(torch.cat(logits), label_rate))


METHOD = Bilevel
