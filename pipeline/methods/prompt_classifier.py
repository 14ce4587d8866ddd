"""`prompt_classifier`: HOI sentences as the classifier of pairs, drawn to CLIP's image vector (Abl 4, GEN-VLKT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.types import Switch
from pipeline.core.bags import BagBatch
from pipeline.core.outputs import OutputColumn
from pipeline.methods.base import BatchCounts, HoiNetwork, Losses, Method, Outputs, Parts, at_least_one
from pipeline.methods.image_labels import LabeledClasses, mil_loss
from pipeline.methods.pair_chunks import over_pairs
from pipeline.methods.pair_trunk import PairTrunk, PairTrunkParams, VerbsOfPairs, bank_logits, mlp, set_output_bias
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_sum


@dataclass(frozen=True)
class PromptClassifierParams(PairTrunkParams):
    """`model.prompt_classifier`."""

    classifier: Literal["prompts", "mlp"] = "prompts"  # mlp: a control, verbs by a trained head
    clip_regularization: Switch = True  # L_reg: the mean pair is drawn towards the frozen CLIP's image vector


class PromptClassifierNetwork(HoiNetwork):
    """Outputs: interaction_logits [M, A]; v_p "holistic" [M, D] and, with a teacher, "clip_embedding" [I, D]."""

    def __init__(self, parts: Parts, params: PromptClassifierParams) -> None:
        super().__init__()
        width, verbs = parts.backbone.embed_dim, parts.vocabulary.num_verbs
        self.params, self.backbone, self.teacher = params, parts.backbone, parts.teacher
        if self.teacher is not None:
            self.teacher.requires_grad_(False)
        self.trunk = PairTrunk(width, params)
        if params.classifier == "prompts":
            self.bank = nn.Parameter(parts.bank.clone())
            self.logit_scale = nn.Parameter(torch.tensor(parts.logit_scale))
            self.prompt_bias = nn.Parameter(torch.tensor(params.verb_bias))
            self.verbs_of_pairs = VerbsOfPairs(parts.vocabulary)
        else:
            self.fusion = mlp(width, params.pair_hidden, width, params.dropout)
            self.interaction_head = mlp(width, params.pair_hidden, verbs, params.dropout)
            set_output_bias(self.interaction_head, params.verb_bias)

    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Classify the pairs of a batch."""
        appearance = self.trunk.appearance(self.backbone, self.backbone.features_of(batch), batch)

        def classified(pairs: PairIndex) -> Outputs:
            holistic = self.trunk(appearance, batch, pairs)
            if self.params.classifier == "prompts":
                by_hoi = bank_logits(holistic, self.bank, self.logit_scale, self.params) + self.prompt_bias
                logits = self.verbs_of_pairs(by_hoi, batch.object_ids[pairs.object])
            else:
                logits = self.interaction_head(self.fusion(holistic))
            return {"representation": holistic, "interaction_logits": logits}

        outputs = over_pairs(classified, pairs, self.backbone)
        if self.teacher is not None:
            with torch.no_grad():
                outputs["clip_embedding"] = self.teacher.global_embedding(self.teacher(batch.images))
        return outputs


class PromptClassifierLosses(Losses):
    """L_p, and L_reg where it is switched on."""

    def __init__(self, classes: LabeledClasses, params: PromptClassifierParams) -> None:
        super().__init__()
        self.params, self.classes = params, classes

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the terms."""
        terms = {"pair": mil_loss(outputs["interaction_logits"], pairs, batch.labels, self.classes) / whole.images}
        if self.params.clip_regularization:
            distance = clip_regularization_loss(outputs["representation"], outputs["clip_embedding"], pairs)
            terms["regularization"] = distance / at_least_one(whole.bags)
        return terms


def clip_regularization_loss(holistic: Tensor, clip_embedding: Tensor, pairs: PairIndex) -> Tensor:
    """L_reg of App. B: squared distance of the mean v_p to CLIP's v_g, both at unit length, summed over images.

    Args:
        holistic: v_p [M, D].
        clip_embedding: v_g [I, D].
    """
    counts, bags = pairs.offsets.diff(), pairs.bags
    mean = segment_sum(holistic, pairs.image, len(counts))[bags] / counts[bags, None]
    target = functional.normalize(clip_embedding[bags], dim=1)
    return (functional.normalize(mean, dim=1) - target).square().sum(1).sum()


class PromptClassifier(Method):
    """Prompts as the classifier, with CLIP as the teacher."""

    Params = PromptClassifierParams
    params: PromptClassifierParams
    columns = (OutputColumn("interaction_logits", "pair", "verbs", "pairwise", "softmax"),)

    @property
    def needs_teacher(self) -> bool:  # type: ignore[override]
        """CLIP's image vector is the target of L_reg."""
        return self.params.clip_regularization

    @property
    def loss_names(self) -> tuple[str, ...]:
        """L_p, and L_reg where it is switched on."""
        return ("pair", "regularization") if self.params.clip_regularization else ("pair",)

    def build(self, parts: Parts) -> PromptClassifierNetwork:
        """The pair trunk and a classifier."""
        return PromptClassifierNetwork(parts, self.params)

    def losses(self, classes: LabeledClasses) -> Losses:
        """The terms."""
        return PromptClassifierLosses(classes, self.params)


METHOD = PromptClassifier
