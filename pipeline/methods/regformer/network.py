"""RegFormer's network: from patches to HOI logits of an image, and from boxes as patch masks to logits of pairs.

I images, N proposals, M pairs, P patches, A verbs, C object categories, H HOI classes, D token width.
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.core.bags import BagBatch
from pipeline.methods.base import HoiNetwork, Outputs, Parts
from pipeline.methods.pair_trunk import logit_of_log
from pipeline.methods.pairing import PairIndex
from pipeline.methods.regformer.decoder import Decoder, Projector, RegionQuery, VerbClassifier
from pipeline.methods.regformer.lora import AdaptedText
from pipeline.methods.regformer.maps import RelevanceHead, RoleMaps, box_patches
from pipeline.methods.regformer.params import RegFormerParams

SMALLEST = 1e-5  # probability that the published run clamps to
_PAIRS_AT_ONCE = 1024  # of one image, for memory


class RegFormerNetwork(HoiNetwork):
    """Projector, relevance heads, query, decoder and verb classifier on a backbone's patches.

    Outputs: image_logits eta [I, H]; of pairs interaction_logits z [M, A], local_logs log(L_h L_o) [M] and mass_logs
    log(G_h G_o) [M]. With `clamp_inference`, interaction_logits are of the clamped pair probability, which holds them.
    """

    object_bank: Tensor
    verb_bank: Tensor
    hoi_object: Tensor
    hoi_verb: Tensor

    def __init__(self, parts: Parts, params: RegFormerParams) -> None:
        super().__init__()
        self.params, self.backbone = params, parts.backbone
        self.human = parts.vocabulary.human_object_id
        width, text_width = params.width, parts.object_bank.shape[1]
        self.projector = Projector(parts.backbone.patch_width, 4 * width, width)
        self.human_head, self.object_head = (
            RelevanceHead(
                width=width,
                text_width=text_width,
                relevance_width=params.relevance_width,
                temperature=params.relevance_temperature,
                scale=params.activation_scale,
                bias=params.activation_bias,
            )
            for _ in range(2)
        )
        self.query = RegionQuery(width)
        self.decoder = Decoder(width=width, heads=params.heads, hidden=4 * width, text_width=text_width)
        self.classifier = VerbClassifier(params.verb_scale, params.verb_bias)
        self.register_buffer("object_bank", parts.object_bank.clone())  # theta
        self.register_buffer("verb_bank", parts.verb_bank.clone())  # omega
        self.register_buffer("hoi_object", torch.from_numpy(parts.vocabulary.hoi_object_ids), persistent=False)
        self.register_buffer("hoi_verb", torch.from_numpy(parts.vocabulary.hoi_verb_ids), persistent=False)
        text = parts.text_encoder
        self.text_encoder = None if text is None else AdaptedText(text, params.lora, params.lora_rank)
        if params.freeze_backbone:
            self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Switch to training or evaluation; a frozen backbone stays in evaluation, and omega becomes the final one."""
        super().train(mode)
        if self.params.freeze_backbone:
            self.backbone.eval()
        if not mode and self.text_encoder is not None:
            with torch.no_grad():
                self.verb_bank.copy_(self.text_encoder())
        return self

    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Image-level logits, and those of the batch's pairs where it has some."""
        with torch.no_grad() if self.params.freeze_backbone else nullcontext():
            patches = self.backbone.patches(self.backbone(batch.images))
        tokens = self.projector(patches)  # [I, P, D]
        memory = self.decoder.memory(tokens)
        with torch.autocast(batch.images.device.type, enabled=False):  # cosines are multiplied by 20: no bfloat16
            verbs = self.text_encoder() if self.training and self.text_encoder is not None else self.verb_bank
            tokens = tokens.to(self.object_bank.dtype)
            human = self.human_head(tokens, self.object_bank[self.human : self.human + 1])  # [I, 1, P]
            objects = self.object_head(tokens, self.object_bank)  # [I, C, P]
        image_logits = self.image_logits(tokens, human, objects, memory, verbs)
        return {"image_logits": image_logits} | self.pair_outputs(batch, pairs, tokens, human, objects, memory, verbs)

    def image_logits(
        self, tokens: Tensor, human: RoleMaps, objects: RoleMaps, memory: tuple[Tensor, Tensor], verbs: Tensor
    ) -> Tensor:
        """eta [I, H]: one query per object category, and the instance score of human and category (sections 5.5-5.10).

        Args:
            tokens: [I, P, D].
            human, objects: maps [I, 1, P] and [I, C, P].
            memory: of the decoder.
            verbs: omega [A, T].
        """
        queries = self.query(
            self.query.human_part(human.relevance @ tokens), self.query.object_part(objects.relevance @ tokens)
        )
        verb_logits = self._verb_logits(self.decoder(queries, *memory), verbs)  # [I, C, A]
        log_instance = human.log_score + objects.log_score  # [I, C]
        logits, instance = verb_logits[:, self.hoi_object, self.hoi_verb], log_instance[:, self.hoi_object]
        log_probability = functional.logsigmoid(logits) + self.params.kappa * instance
        if self.training and self.params.clamp_training:
            return clamped_logit(log_probability.exp())
        return logit_of_log(log_probability)

    def pair_outputs(
        self,
        batch: BagBatch,
        pairs: PairIndex,
        tokens: Tensor,
        human: RoleMaps,
        objects: RoleMaps,
        memory: tuple[Tensor, Tensor],
        verbs: Tensor,
    ) -> Outputs:
        """Logits of pairs (section 7); what belongs to one box and role is computed once per proposal."""
        image, offsets = batch.proposal_image, batch.proposal_offsets.tolist()
        mask = box_patches(batch.boxes, batch.image_sizes[image], round(tokens.shape[1] ** 0.5))
        of_human = human.rows(image, torch.zeros_like(image))  # [N, P]
        of_object = objects.rows(image, batch.object_ids)
        boxed_human, boxed_object = of_human.within(mask), of_object.within(mask)
        human_part = self.query.human_part(_region_features(boxed_human.relevance, tokens, offsets))  # [N, D]
        object_part = self.query.object_part(_region_features(boxed_object.relevance, tokens, offsets))
        logits = []
        for index, (start, stop) in enumerate(_ranges(pairs.offsets.tolist())):
            keys, values = (rows[index : index + 1] for rows in memory)
            for low in range(start, stop, _PAIRS_AT_ONCE):
                rows = slice(low, min(low + _PAIRS_AT_ONCE, stop))
                queries = self.query(human_part[pairs.human[rows]], object_part[pairs.object[rows]])
                logits.append(self._verb_logits(self.decoder(queries[None], keys, values)[0], verbs))
        verb_logits = torch.cat([tokens.new_zeros(0, len(verbs)), *logits])  # z [M, A]
        local, mass = (
            of_pairs[pairs.human] + others[pairs.object]
            for of_pairs, others in (
                (boxed_human.log_score, boxed_object.log_score),
                (_log_mass(boxed_human, of_human), _log_mass(boxed_object, of_object)),
            )
        )
        if self.params.clamp_inference:
            log_probability = functional.logsigmoid(verb_logits) + self.params.kappa * (local + mass)[:, None]
            return {"interaction_logits": logit_of_log(log_probability.exp().clamp(min=SMALLEST).log())}
        return {"interaction_logits": verb_logits, "local_logs": local, "mass_logs": mass}

    def _verb_logits(self, decoded: Tensor, verbs: Tensor) -> Tensor:
        with torch.autocast(decoded.device.type, enabled=False):
            logits: Tensor = self.classifier(decoded.to(verbs.dtype), verbs)
        return logits


def clamped_logit(probability: Tensor) -> Tensor:
    """Logit of a probability whose two sides are at least 1e-5."""
    return torch.log(probability.clamp(min=SMALLEST) / (1 - probability).clamp(min=SMALLEST))


def _ranges(offsets: list[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(offsets))


def _region_features(relevance: Tensor, tokens: Tensor, offsets: list[int]) -> Tensor:
    """Sum of an image's tokens by relevance [N, P], [N, D]."""
    regions = [relevance[start:stop] @ tokens[image] for image, (start, stop) in enumerate(_ranges(offsets))]
    return torch.cat([tokens.new_zeros(0, tokens.shape[2]), *regions])


def _log_mass(boxed: RoleMaps, whole: RoleMaps) -> Tensor:
    """log G [N]: the part of the image's relevance that lies in the box; rounding must not make it more than all."""
    return (boxed.log_total - whole.log_total).clamp(max=0)
