"""`clip_zero_shot`: CLIP's own similarity of a pair's union region to the HOI sentences, untrained (Abl 1)."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.core.bags import BagBatch
from pipeline.core.errors import ParamError
from pipeline.core.outputs import OutputColumn
from pipeline.methods.base import HoiNetwork, Losses, Method, Outputs, Parts
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pair_chunks import over_pairs
from pipeline.methods.pair_trunk import PairTrunkParams, VerbsOfPairs, bank_logits, logit_of_log, union_embeddings
from pipeline.methods.pairing import PairIndex


class ClipZeroShotNetwork(HoiNetwork):
    """Outputs: interaction_logits [M, A], logits of the softmax over all HOI sentences."""

    def __init__(self, parts: Parts, params: PairTrunkParams) -> None:
        super().__init__()
        self.params, self.backbone = params, parts.backbone
        self.bank = nn.Parameter(parts.bank.clone())
        self.logit_scale = nn.Parameter(torch.tensor(parts.logit_scale))
        self.verbs_of_pairs = VerbsOfPairs(parts.vocabulary)

    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Compare the union regions of a batch's pairs with the bank."""
        features = self.backbone.features_of(batch)

        def compared(pairs: PairIndex) -> Outputs:
            union = union_embeddings(self.backbone, features, batch, pairs, self.params)
            similarities = bank_logits(union, self.bank, self.logit_scale, self.params)
            logits = logit_of_log(torch.log_softmax(similarities, 1))
            return {"interaction_logits": self.verbs_of_pairs(logits, batch.object_ids[pairs.object])}

        return over_pairs(compared, pairs, self.backbone)


class ClipZeroShot(Method):
    """CLIP as it is."""

    Params = PairTrunkParams
    params: PairTrunkParams
    columns = (OutputColumn("interaction_logits", "pair", "verbs", "pairwise"),)
    loss_names = ()

    def build(self, parts: Parts) -> ClipZeroShotNetwork:
        """CLIP's encoder and the bank."""
        return ClipZeroShotNetwork(parts, self.params)

    def losses(self, classes: LabeledClasses) -> Losses:
        """There is none.

        Raises:
            ParamError: always.
        """
        raise ParamError("model.method: clip_zero_shot is not trained; set train.epochs to 0")


METHOD = ClipZeroShot
