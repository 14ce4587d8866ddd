"""Annotated pairs as losses use them: which verbs each pair of a batch does. M pairs, A verbs, H HOI classes."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.methods.pairing import PairIndex


def annotated_verbs(batch: BagBatch, pairs: PairIndex, hoi_to_verb: Tensor) -> Tensor:
    """Verbs that each pair is annotated with, float32 [M, A]: zeros and ones; zeros where an image has no boxes.

    Args:
        pairs: all pairs of the batch; `pair_labels` names some of them. They are in order of human, then object, so
            that a label's pair is found by bisection.
        hoi_to_verb: float32 [H, A], one-hot rows.
    """
    human, partner, hoi_id = batch.pair_labels.unbind(1)
    verbs = hoi_to_verb.new_zeros(len(pairs), hoi_to_verb.shape[1])
    if not len(pairs):
        return verbs
    proposals = len(batch.object_ids)
    row = torch.searchsorted(pairs.human * proposals + pairs.object, human * proposals + partner)
    return verbs.index_add(0, row, hoi_to_verb[hoi_id]).clamp(max=1)
