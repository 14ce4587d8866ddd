"""RegFormer's network: from patches to HOI logits of an image, and from boxes as patch masks to logits of pairs.

I images, N proposals, M pairs, P patches, A verbs, C object categories, H HOI classes, D token width.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.core.bags import BagBatch
from pipeline.methods.base import HoiNetwork, Outputs, Parts
from pipeline.methods.pair_chunks import chunks
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
        """Logits of images, and of the batch's pairs where it has some."""
        scenes = self._scenes(batch)
        return {"image_logits": self._image_logits(scenes)} | self._pair_outputs(scenes, batch, pairs)

    def _scenes(self, batch: BagBatch) -> _Scenes:
        with torch.no_grad() if self.params.freeze_backbone else nullcontext():
            patches = self.backbone.patches(self.backbone.features_of(batch))
        tokens = self.projector(patches)
        keys, values = self.decoder.memory(tokens)
        with torch.autocast(batch.images.device.type, enabled=False):  # cosines are multiplied by 20: no bfloat16
            tokens = tokens.to(self.object_bank.dtype)
            human = self.human_head(tokens, self.object_bank[self.human : self.human + 1])
            objects = self.object_head(tokens, self.object_bank)
            verbs = self.text_encoder() if self.training and self.text_encoder is not None else self.verb_bank
        return _Scenes(tokens, keys, values, human, objects, verbs)

    def _image_logits(self, scenes: _Scenes) -> Tensor:
        """eta [I, H]: a query per object category, and the instance score of human and category (sec. 5.5 to 5.10)."""
        human_part = self.query.human_part(scenes.human.relevance @ scenes.tokens)  # [I, 1, D]
        object_part = self.query.object_part(scenes.objects.relevance @ scenes.tokens)  # [I, C, D]
        decoded = self.decoder(self.query(human_part, object_part), scenes.keys, scenes.values)
        verb_logits = self._verb_logits(decoded, scenes.verbs)[:, self.hoi_object, self.hoi_verb]  # [I, H]
        log_instance = (scenes.human.log_score + scenes.objects.log_score)[:, self.hoi_object]
        log_probability = functional.logsigmoid(verb_logits) + self.params.kappa * log_instance
        if self.training and self.params.clamp_training:
            return clamped_logit(log_probability.exp())
        return logit_of_log(log_probability)

    def _pair_outputs(self, scenes: _Scenes, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Outputs [M, *] (sec. 7); what belongs to one box and role is computed once per proposal."""
        image = batch.proposal_image
        mask = box_patches(batch.boxes, batch.image_sizes[image], round(scenes.tokens.shape[1] ** 0.5))
        human, human_features = _in_boxes(scenes.human.rows(image, torch.zeros_like(image)), mask, scenes, batch)
        partner, object_features = _in_boxes(scenes.objects.rows(image, batch.object_ids), mask, scenes, batch)
        human_part = self.query.human_part(human_features)  # [N, D]
        object_part = self.query.object_part(object_features)
        verb_logits = self._logits_of_pairs(scenes, human_part, object_part, pairs)
        local, mass = (human[pairs.human] + partner[pairs.object]).unbind(1)
        if not self.params.clamp_inference:
            return {"interaction_logits": verb_logits, "local_logs": local, "mass_logs": mass}
        log_probability = functional.logsigmoid(verb_logits) + self.params.kappa * (local + mass)[:, None]
        return {"interaction_logits": logit_of_log(log_probability.clamp(min=math.log(SMALLEST)))}

    def _logits_of_pairs(self, scenes: _Scenes, human_part: Tensor, object_part: Tensor, pairs: PairIndex) -> Tensor:
        """z [M, A], image by image; its queries are cut for memory, which changes nothing."""
        found = [scenes.tokens.new_zeros(0, len(scenes.verbs))]
        for image, start, stop in _ranges(pairs.offsets, len(pairs)):
            for rows in chunks(start, stop, _PAIRS_AT_ONCE):
                queries = self.query(human_part[pairs.human[rows]], object_part[pairs.object[rows]])
                decoded = self.decoder(queries[None], scenes.keys[image, None], scenes.values[image, None])
                found.append(self._verb_logits(decoded[0], scenes.verbs))
        return torch.cat(found)

    def _verb_logits(self, decoded: Tensor, verbs: Tensor) -> Tensor:
        with torch.autocast(decoded.device.type, enabled=False):
            logits: Tensor = self.classifier(decoded.to(verbs.dtype), verbs)
        return logits


@dataclass(frozen=True)
class _Scenes:
    """What image-level logits and pairs share of a batch.

    Attributes:
        tokens: t [I, P, D].
        keys, values: of the decoder, [I, heads, P, D / heads].
        human, objects: maps [I, 1, P] and [I, C, P].
        verbs: omega [A, T].
    """

    tokens: Tensor
    keys: Tensor
    values: Tensor
    human: RoleMaps
    objects: RoleMaps
    verbs: Tensor


def clamped_logit(probability: Tensor) -> Tensor:
    """Logit of a probability whose two sides are at least 1e-5."""
    return torch.log(probability.clamp(min=SMALLEST) / (1 - probability).clamp(min=SMALLEST))


def _in_boxes(whole: RoleMaps, mask: Tensor, scenes: _Scenes, batch: BagBatch) -> tuple[Tensor, Tensor]:
    """One role of each proposal: (log L, log G) [N, 2], and F, its tokens' sum by relevance, [N, D]."""
    boxed = whole.within(mask)
    log_mass = (boxed.log_total - whole.log_total).clamp(max=0)  # a part of all: rounding must not make it more
    features = [scenes.tokens.new_zeros(0, scenes.tokens.shape[2])]
    for image, start, stop in _ranges(batch.proposal_offsets, len(batch.boxes)):
        features.append(boxed.relevance[start:stop] @ scenes.tokens[image])
    return torch.stack([boxed.log_score, log_mass], 1), torch.cat(features)


def _ranges(offsets: Tensor, rows: int) -> list[tuple[int, int, int]]:
    """Image, first row and end of each image's rows; without any row the host does not wait for a GPU's offsets."""
    return [(image, *ends) for image, ends in enumerate(pairwise(offsets.tolist()))] if rows else []
