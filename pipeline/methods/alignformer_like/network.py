"""The network of `alignformer_like`, and how its queries score the pairs of proposals."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.backbones.base import Backbone, Features
from pipeline.core.bags import BagBatch
from pipeline.core.boxes import box_giou
from pipeline.methods.alignformer_like.decoder import PairDecoder
from pipeline.methods.alignformer_like.matching import to_corners
from pipeline.methods.alignformer_like.params import AlignFormerParams
from pipeline.methods.alignformer_like.priors import new_statistics
from pipeline.methods.base import HoiNetwork, Outputs, Parts
from pipeline.methods.pair_chunks import over_pairs
from pipeline.methods.pair_trunk import VerbsOfPairs, bank_logits, logit_of_log, union_embeddings
from pipeline.methods.pairing import PairIndex

_SMALLEST_AGREEMENT = 1e-3  # of two boxes, whose logarithm is taken


class AlignFormerNetwork(HoiNetwork):
    """Decoder on the backbone's patches; in training a frozen CLIP says how alike pairs and HOI sentences are.

    Outputs: the decoder's, interaction_logits [M, A], prior_statistics and, in training, visual_log_prior [M, A].
    """

    not_decayed = frozenset({"decoder.anchors", "decoder.content"})
    prior_statistics: Tensor
    bank: Tensor
    logit_scale: Tensor

    def __init__(self, parts: Parts, params: AlignFormerParams) -> None:
        super().__init__()
        self.params, self.backbone, self.teacher = params, parts.backbone, parts.teacher
        if self.teacher is not None:
            self.teacher.requires_grad_(False)
        self.decoder = PairDecoder(parts.backbone.patch_width, parts.vocabulary, params)
        self.verbs_of_pairs = VerbsOfPairs(parts.vocabulary)
        self.register_buffer("bank", parts.bank.clone())
        self.register_buffer("logit_scale", torch.tensor(parts.logit_scale))
        self.register_buffer("prior_statistics", new_statistics(parts.vocabulary.num_verbs))

    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Decode the images, and score the pairs of proposals by the queries."""
        features = self.backbone.features_of(batch)
        outputs: Outputs = self.decoder(self.backbone.patches(features))
        with torch.no_grad():
            scored = partial(self._pair_logits, outputs, batch)
            outputs |= over_pairs(scored, pairs, self.backbone)
            if self.teacher is not None:
                seen = self.teacher(batch.images)
                outputs |= over_pairs(partial(self._visual_log_prior, self.teacher, seen, batch), pairs, self.teacher)
        # The losses change it, and evaluation must change nothing.
        outputs["prior_statistics"] = self.prior_statistics if self.training else self.prior_statistics.clone()
        return outputs

    def _visual_log_prior(self, teacher: Backbone, features: Features, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """CLIP's similarity of each pair's union region to the sentence of its category and each verb, [M, A]."""
        union = union_embeddings(teacher, features, batch, pairs, self.params)
        similarities = bank_logits(union, self.bank, self.logit_scale, self.params)
        return {"visual_log_prior": self.verbs_of_pairs(similarities, batch.object_ids[pairs.object])}

    def _pair_logits(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Logits of the score that the best query of the last layer gives to each pair and verb, [M, A]."""
        boxes, categories, verbs = (outputs[f"query_{name}"][-1].float() for name in ("boxes", "categories", "verbs"))
        sizes = batch.image_sizes.repeat(1, 2)[pairs.image, None]
        pair_boxes = torch.stack([batch.boxes[pairs.human], batch.boxes[pairs.object]], 1) / sizes
        agreement = log_agreement(pair_boxes, to_corners(boxes), pairs.image)
        category = categories.log_softmax(2)[pairs.image, :, batch.object_ids[pairs.object]]
        scores = best_query(agreement + category, functional.logsigmoid(verbs), pairs.image)
        return {"interaction_logits": logit_of_log(scores)}


def log_agreement(pair_boxes: Tensor, query_boxes: Tensor, image: Tensor) -> Tensor:
    """How well the boxes of each pair and each query of its image agree, a logarithm [M, Q]; 0 where they are equal.

    (1 + GIoU) / 2 of the human boxes times that of the object boxes. GIoU still tells near from far where boxes do not
    overlap, which IoU does not: queries are often a few pixels off small objects.

    Args:
        pair_boxes: [M, 2, 4] xyxy; query_boxes: [I, Q, 2, 4] likewise; image: int64 [M].
    """
    total = pair_boxes.new_zeros(len(image), query_boxes.shape[1])
    for part in (0, 1):  # human, object
        overlap = box_giou(pair_boxes[:, None, part], query_boxes[image, :, part])
        total = total + ((1 + overlap) / 2).clamp(min=_SMALLEST_AGREEMENT).log()
    return total


def best_query(agreement: Tensor, log_verbs: Tensor, image: Tensor) -> Tensor:
    """Maximum over queries of agreement [M, Q] plus verb log-probability [I, Q, A], [M, A]; one query at a time."""
    best = agreement.new_full((len(image), log_verbs.shape[2]), -torch.inf)
    for query in range(agreement.shape[1]):
        best = torch.maximum(best, agreement[:, query, None] + log_verbs[image, query])
    return best
