"""The two-branch network of section 3.2: image-level HOI scores, and per-pair interaction and relatedness scores.

The network never sees labels. One forward pass takes all images of a batch, ragged: each proposal is pooled once for
its human and object roles, each union region once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from clip.model import ModifiedResNet
from torch import Tensor, nn
from torch.nn import functional

from pipeline.core.bags import BagBatch
from pipeline.core.boxes import box_union
from pipeline.core.params import ModelParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.backbone import ClipBackbone
from pipeline.hoi.knowledge_transfer import meta_embedding
from pipeline.hoi.pairing import PairIndex, pair_proposals
from pipeline.hoi.spatial import SpatialEncoder, spatial_encoding


@dataclass(frozen=True)
class HoiOutput:
    """Raw outputs of a batch.

    Attributes:
        pairs: the pairs that rows refer to.
        interaction_logits: s_p [M, A].
        relatedness_logits: s_b [M].
        image_logits: s_g [I, H].
        representation: the relation-aware pair representation of eq. (1), [M, D].
    """

    pairs: PairIndex
    interaction_logits: Tensor
    relatedness_logits: Tensor
    image_logits: Tensor
    representation: Tensor


class WeakHoiNetwork(nn.Module):
    """Backbone, HOI recognition, knowledge transfer and pairwise classification networks.

    Args:
        visual: CLIP's visual encoder, pretrained or random.
        hoi_embeddings: initial knowledge bank W_T, float32 [H, D].
        logit_scale: CLIP's temperature as a logarithm.
        vocabulary: names the human category and which categories take part in HOI classes.
        params: switches and sizes.
    """

    pairable: Tensor

    def __init__(
        self,
        *,
        visual: ModifiedResNet,
        hoi_embeddings: Tensor,
        logit_scale: float,
        vocabulary: Vocabulary,
        params: ModelParams,
    ) -> None:
        super().__init__()
        self.params = params
        self.human_object_id = vocabulary.human_object_id
        self.num_hois = vocabulary.num_hois
        pairable = torch.zeros(vocabulary.num_objects, dtype=torch.bool)
        pairable[torch.from_numpy(vocabulary.hoi_object_ids)] = True
        self.register_buffer("pairable", pairable)
        self.backbone = ClipBackbone(visual=visual, last_stride=params.last_stride)
        width = self.backbone.embed_dim
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

    def forward(self, batch: BagBatch) -> HoiOutput:
        """Run both branches over a batch of bags."""
        features = self.backbone(batch.images)
        pairs = pair_proposals(
            batch.object_ids,
            batch.proposal_offsets,
            human_object_id=self.human_object_id,
            pairable=self.pairable,
        )
        representation = self.pair_representation(batch, features, pairs)
        return HoiOutput(
            pairs=pairs,
            interaction_logits=self.interaction_head(representation),
            relatedness_logits=self.relatedness_head(representation).squeeze(1),
            image_logits=self.image_logits(features),
            representation=representation,
        )

    def image_logits(self, features: Tensor) -> Tensor:
        """s_g [I, H] (sec. 3.2.2): the bank as a classifier of v_g; zeros where the branch is switched off."""
        if not self.params.hoi_recognition:
            return features.new_zeros(len(features), self.num_hois)
        return self._bank_logits(self.backbone.global_embedding(features), self.bank) + self.global_bias

    def pair_representation(self, batch: BagBatch, features: Tensor, pairs: PairIndex) -> Tensor:
        """The representation of every pair, [M, D]: v_p = F_E([v_h; v_o; v_sp]), then eq. (1)."""
        human_boxes, object_boxes = batch.boxes[pairs.human], batch.boxes[pairs.object]
        image_sizes = batch.image_sizes[pairs.image]
        appearance = self._regions(batch, features, batch.boxes, batch.proposal_image)  # [N, D], once per proposal
        spatial = self.spatial(spatial_encoding(human_boxes, object_boxes, image_sizes))
        if self.params.normalize_rois:  # unit length for the bank, unit variance for the MLP
            appearance = appearance * appearance.shape[1] ** 0.5
        holistic = self.pair_embedding(torch.cat([appearance[pairs.human], appearance[pairs.object], spatial], 1))
        if self.params.ktn != "none":
            bank = self.bank.detach() if self.params.detach_bank else self.bank
            union = self._regions(batch, features, box_union(human_boxes, object_boxes), pairs.image)
            holistic = holistic + meta_embedding(union, bank, self._bank_logits(union, bank), mode=self.params.ktn)
        fused: Tensor = self.fusion(holistic)
        return fused

    def _regions(self, batch: BagBatch, features: Tensor, boxes: Tensor, image: Tensor) -> Tensor:
        """Embeddings [R, D] of boxes [R, 4] in original pixels."""
        map_size = features.new_tensor([features.shape[3], features.shape[2]])
        scale = (map_size / batch.image_sizes[image]).repeat(1, 2)  # original pixels to feature cells
        embeddings = self.backbone.region_embedding(
            features,
            boxes * scale,
            image,
            roi_size=self.params.roi_size,
            sampling_ratio=self.params.sampling_ratio,
        )
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
