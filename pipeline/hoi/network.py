"""The two-branch network of section 3.2: image-level HOI scores, and per-pair interaction and relatedness scores.

The network never sees labels. One forward pass takes all images of a batch, ragged: each proposal is pooled once for
its human and object roles, each union region once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.core.bags import BagBatch
from pipeline.core.boxes import box_union
from pipeline.core.params import ModelParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.backbone import ClipBackbone
from pipeline.hoi.detector_backbone import DetectorBackbone
from pipeline.hoi.interaction import ParallelSelection, VerbsOfPairs, zero_shot_logits
from pipeline.hoi.knowledge_transfer import meta_embedding
from pipeline.hoi.pairing import PairIndex, pair_proposals
from pipeline.hoi.spatial import SpatialEncoder, spatial_encoding

Features = Any  # what a backbone makes of images: CLIP's one map, or a detector's pyramid


@dataclass(frozen=True)
class HoiOutput:
    """Raw outputs of a batch.

    Attributes:
        pairs: the pairs that rows refer to.
        interaction_logits: s_p [M, A].
        relatedness_logits: s_b [M].
        image_logits: s_g [I, H].
        holistic: v_p [M, D].
        representation: the relation-aware pair representation of eq. (1), [M, D].
        clip_embedding: v_g of the frozen CLIP that Abl 4 learns towards, [I, D]; None elsewhere.
    """

    pairs: PairIndex
    interaction_logits: Tensor
    relatedness_logits: Tensor
    image_logits: Tensor
    holistic: Tensor
    representation: Tensor
    clip_embedding: Tensor | None

    def in_float32(self) -> HoiOutput:
        """With all values in float32, as losses want them after mixed precision."""
        tensors: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                tensors[item.name] = value.float()
        return replace(self, **tensors)


class WeakHoiNetwork(nn.Module):
    """Backbone, HOI recognition, knowledge transfer and pairwise classification networks.

    Args:
        backbone: the visual encoder, pretrained or random; D is its embedding width.
        hoi_embeddings: initial knowledge bank W_T, float32 [H, D].
        logit_scale: CLIP's temperature as a logarithm.
        vocabulary: names the human category and which categories take part in HOI classes.
        params: switches and sizes.
        teacher: CLIP's visual encoder, frozen, where `clip_regularization` asks for it (Abl 4).
    """

    pairable: Tensor

    def __init__(
        self,
        *,
        backbone: ClipBackbone | DetectorBackbone,
        hoi_embeddings: Tensor,
        logit_scale: float,
        vocabulary: Vocabulary,
        params: ModelParams,
        teacher: ClipBackbone | None = None,
    ) -> None:
        super().__init__()
        self.params = params
        self.human_object_id = vocabulary.human_object_id
        self.num_hois = vocabulary.num_hois
        pairable = torch.zeros(vocabulary.num_objects, dtype=torch.bool)
        pairable[torch.from_numpy(vocabulary.hoi_object_ids)] = True
        self.register_buffer("pairable", pairable)
        self.backbone, self.teacher = backbone, teacher
        if teacher is not None:
            teacher.requires_grad_(False)
        width = backbone.embed_dim
        self.bank = nn.Parameter(hoi_embeddings.clone(), requires_grad=not params.freeze_bank)
        self.logit_scale = nn.Parameter(torch.tensor(logit_scale))
        self.global_bias = nn.Parameter(torch.zeros(()))
        self.spatial = SpatialEncoder(hidden=params.spatial_hidden, width=width, epsilon=params.spatial_epsilon)
        self.pair_embedding = _mlp(3 * width, params.pair_hidden, width, params.dropout)  # F_E
        self.fusion = _mlp(width, params.pair_hidden, width, params.dropout)  # F_K
        self.interaction_head = _mlp(width, params.pair_hidden, vocabulary.num_verbs, params.dropout)  # F_P
        self.relatedness_head = _mlp(width, params.pair_hidden, 1, params.dropout)  # F_B
        _set_output_bias(self.interaction_head, params.verb_bias)
        _set_output_bias(self.relatedness_head, params.relatedness_bias)
        if params.interaction == "ppr_fcn":
            selection = _mlp(width, params.pair_hidden, vocabulary.num_verbs, params.dropout)
            self.parallel = ParallelSelection(selection=selection, classification=self.interaction_head)
        if params.interaction in ("prompts", "clip"):
            self.verbs_of_pairs = VerbsOfPairs(vocabulary)
        if params.interaction == "prompts":
            self.prompt_bias = nn.Parameter(torch.tensor(params.verb_bias))

    def trained_state(self) -> dict[str, Tensor]:
        """Parameters and buffers that inference needs: all but the teacher's."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("teacher.")}

    def forward(self, batch: BagBatch, pairs: PairIndex | None = None) -> HoiOutput:
        """Run both branches over a batch of bags.

        Args:
            pairs: the batch's pairs, where the caller has formed them already; on a GPU that spares the host a wait.
        """
        features = self.backbone(batch.images)
        if pairs is None:
            pairs = pair_proposals(
                batch.object_ids,
                batch.proposal_offsets,
                human_object_id=self.human_object_id,
                pairable=self.pairable,
            )
        holistic, representation = self.pair_representation(batch, features, pairs)
        return HoiOutput(
            pairs=pairs,
            interaction_logits=self._interaction(batch, features, pairs, holistic, representation),
            relatedness_logits=self.relatedness_head(representation).squeeze(1),
            image_logits=self.image_logits(features, len(batch)),
            holistic=holistic,
            representation=representation,
            clip_embedding=self._clip_embedding(batch),
        )

    def image_logits(self, features: Features, num_images: int) -> Tensor:
        """s_g [I, H] (sec. 3.2.2): the bank as a classifier of v_g; zeros where the branch is switched off."""
        if not self.params.hoi_recognition:
            return self.bank.new_zeros(num_images, self.num_hois)
        return self._bank_logits(self.backbone.global_embedding(features), self.bank) + self.global_bias

    def pair_representation(self, batch: BagBatch, features: Features, pairs: PairIndex) -> tuple[Tensor, Tensor]:
        """v_p = F_E([v_h; v_o; v_sp]) and the representation of eq. (1), each [M, D]."""
        human_boxes, object_boxes = batch.boxes[pairs.human], batch.boxes[pairs.object]
        image_sizes = batch.image_sizes[pairs.image]
        appearance = self._to_mlp(self._regions(batch, features, batch.boxes, batch.proposal_image))  # [N, D]
        spatial = self.spatial(spatial_encoding(human_boxes, object_boxes, image_sizes))
        holistic = self.pair_embedding(torch.cat([appearance[pairs.human], appearance[pairs.object], spatial], 1))
        enhanced = holistic
        if self.params.ktn != "none":
            bank = self.bank.detach() if self.params.detach_bank else self.bank
            union = self._union(batch, features, pairs)
            meta = meta_embedding(union, bank, self._bank_logits(union, bank), mode=self.params.ktn)
            enhanced = holistic + self._to_mlp(meta)
        return holistic, self.fusion(enhanced)

    def _interaction(
        self, batch: BagBatch, features: Features, pairs: PairIndex, holistic: Tensor, representation: Tensor
    ) -> Tensor:
        """s_p [M, A] by the classifier that `interaction` names."""
        kind = self.params.interaction
        if kind == "ppr_fcn":
            parallel: Tensor = self.parallel(representation, pairs)
            return parallel
        if kind == "mlp":
            logits: Tensor = self.interaction_head(representation)
            return logits
        objects = batch.object_ids[pairs.object]
        if kind == "clip":
            similarities = self._bank_logits(self._union(batch, features, pairs), self.bank)
            zero_shot: Tensor = self.verbs_of_pairs(zero_shot_logits(similarities), objects)
            return zero_shot
        by_prompt: Tensor = self.verbs_of_pairs(self._bank_logits(holistic, self.bank) + self.prompt_bias, objects)
        return by_prompt

    def _clip_embedding(self, batch: BagBatch) -> Tensor | None:
        if self.teacher is None:
            return None
        with torch.no_grad():
            return self.teacher.global_embedding(self.teacher(batch.images))

    def _union(self, batch: BagBatch, features: Features, pairs: PairIndex) -> Tensor:
        """v_u [M, D]."""
        boxes = box_union(batch.boxes[pairs.human], batch.boxes[pairs.object])
        return self._regions(batch, features, boxes, pairs.image)

    def _to_mlp(self, embeddings: Tensor) -> Tensor:
        """From unit length, which the bank needs, to unit variance, which an MLP's initial weights are made for."""
        return embeddings * embeddings.shape[1] ** 0.5 if self.params.unit_variance else embeddings

    def _regions(self, batch: BagBatch, features: Features, boxes: Tensor, image: Tensor) -> Tensor:
        """Embeddings [R, D] of boxes [R, 4] in original pixels."""
        placed = boxes / batch.image_sizes[image].repeat(1, 2)
        embeddings = self.backbone.region_embedding(features, placed, image)
        return functional.normalize(embeddings, dim=1) if self.params.normalize_rois else embeddings

    def _bank_logits(self, embeddings: Tensor, bank: Tensor) -> Tensor:
        """Similarity of embeddings [R, D] to every HOI class, [R, H]."""
        if self.params.global_score == "inner_product":
            return embeddings @ bank.T
        cosine = functional.normalize(embeddings, dim=1) @ functional.normalize(bank, dim=1).T
        return cosine * self.logit_scale.exp()


def _mlp(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))


def _set_output_bias(head: nn.Sequential, value: float) -> None:
    """Start a head's logits at a prior: most pairs do nothing."""
    last = head[-1]
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.bias, value)
