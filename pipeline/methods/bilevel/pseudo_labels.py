"""Pseudo relatedness labels (sec. 3.3, Fig. 2b; top-K of App. F)."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_rank


@torch.no_grad()
def pseudo_relatedness(
    interaction_logits: Tensor,
    pairs: PairIndex,
    pair_object_ids: Tensor,
    *,
    image_verbs: Tensor,
    image_objects: Tensor,
    top_k: int,
) -> Tensor:
    """Return b, float32 [M]: 1 for the K best pairs of each labeled verb among pairs with a labeled object.

    Masked pairs are set to -inf rather than multiplied by the mask's zero: logits may be negative, and a zero would
    then win.

    Args:
        interaction_logits: s_p [M, A].
        pair_object_ids: int64 [M].
        image_verbs: bool [I, A], verbs in the image's labels.
        image_objects: bool [I, C], object categories in the image's labels.
        top_k: pairs per verb.
    """
    candidate = image_objects[pairs.image, pair_object_ids]  # Z, [M]
    scores = interaction_logits.masked_fill(~candidate[:, None], -torch.inf)
    chosen = segment_rank(scores, pairs.image, len(image_verbs)) < top_k
    positive = chosen & image_verbs[pairs.image] & candidate[:, None]
    return positive.any(1).to(interaction_logits.dtype)
