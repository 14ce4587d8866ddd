"""`ppr_fcn`: PPR-FCN (Zhang et al., ICCV 2017) on the same backbone and pairs (Table 1).

Two parallel branches say which pair of the image, and which verb: a pair's score is the softmax over the image's pairs
of the selection times the sigmoid of the classification. Their sum over pairs, at most 1, is the image's score.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.core.bags import BagBatch
from pipeline.core.outputs import OutputColumn
from pipeline.methods.base import BatchCounts, HoiNetwork, Losses, Method, Outputs, Parts
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pair_chunks import over_pairs
from pipeline.methods.pair_trunk import PairTrunk, PairTrunkParams, logit_of_log, mlp, set_output_bias
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_log_softmax, segment_sum


class PprFcnNetwork(HoiNetwork):
    """Outputs: interaction_logits [M, A], the logits of the two branches' product, and the representation [M, D]."""

    def __init__(self, parts: Parts, params: PairTrunkParams) -> None:
        super().__init__()
        width, hidden, verbs = parts.backbone.embed_dim, params.pair_hidden, parts.vocabulary.num_verbs
        self.backbone = parts.backbone
        self.trunk = PairTrunk(width, params)
        self.fusion = mlp(width, hidden, width, params.dropout)
        self.classification = mlp(width, hidden, verbs, params.dropout)
        set_output_bias(self.classification, params.verb_bias)
        mlp(width, hidden, 1, params.dropout)  # drawn and not used, so that a seed still gives the same weights
        self.selection = mlp(width, hidden, verbs, params.dropout)

    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Run both branches over the pairs of a batch."""
        appearance = self.trunk.appearance(self.backbone, self.backbone.features_of(batch), batch)

        def branches(pairs: PairIndex) -> Outputs:
            representation = self.fusion(self.trunk(appearance, batch, pairs))
            selection = self.selection(representation)
            return {
                "representation": representation,
                "selection": selection,
                "classification": self.classification(representation),
            }

        found = over_pairs(branches, pairs, self.backbone)
        selected = segment_log_softmax(found["selection"], pairs.image, len(batch))
        logits = logit_of_log(selected + functional.logsigmoid(found["classification"]))
        return {"representation": found["representation"], "interaction_logits": logits}


class PprFcnLosses(Losses):
    """Binary cross-entropy of the image's score, the sum of its pairs' probabilities."""

    def __init__(self, classes: LabeledClasses) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the one term."""
        total = summed_mil_loss(outputs["interaction_logits"], pairs, batch.labels, self.classes)
        return {"pair": total / whole.images}


def summed_mil_loss(logits: Tensor, pairs: PairIndex, labels: Tensor, classes: LabeledClasses) -> Tensor:
    """Binary cross-entropy of an image's summed probabilities [A] against its labeled verbs, summed.

    Args:
        logits: of the two branches' product [M, A].
        labels: [I, H].
    """
    image_scores = segment_sum(torch.sigmoid(logits), pairs.image, len(labels))
    scores = image_scores[pairs.bags].clamp(1e-6, 1 - 1e-6)
    verbs, seen = classes.verbs(labels)[pairs.bags].to(scores.dtype), classes.seen_verbs.to(scores.dtype)
    return functional.binary_cross_entropy(scores, verbs, seen, reduction="sum")


class PprFcn(Method):
    """Selection and classification in parallel."""

    Params = PairTrunkParams
    params: PairTrunkParams
    columns = (OutputColumn("interaction_logits", "pair", "verbs", "pairwise"),)
    loss_names = ("pair",)

    def build(self, parts: Parts) -> PprFcnNetwork:
        """The two parallel branches."""
        return PprFcnNetwork(parts, self.params)

    def losses(self, classes: LabeledClasses) -> Losses:
        """The image's score against its labels."""
        return PprFcnLosses(classes)


METHOD = PprFcn
