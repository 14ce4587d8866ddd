"""Labels of annotated pairs as losses use them: which verbs each pair of a batch does.

L labels, M pairs, N proposals, A verbs, H HOI classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.methods.pairing import PairIndex


def pair_verbs(pair_labels: Tensor, pairs: PairIndex, hoi_verb_ids: Tensor, num_verbs: int) -> Tensor:
    """Verbs that each pair is annotated with, float32 [M, A] of zeros and ones.

    Args:
        pair_labels: int64 [L, 3], rows (human proposal, object proposal, HOI id); each is one of `pairs`.
        pairs: of the batch; they are in order of human, then object, so that a label's pair is found by bisection.
        hoi_verb_ids: verb of each HOI class, int64 [H].
    """
    human, partner, hoi_id = pair_labels.unbind(1)
    targets = torch.zeros(len(pairs), num_verbs, device=pairs.human.device)
    if not len(pairs):
        return targets
    width = 1 + int(1e9)
    row = torch.searchsorted(pairs.human * width + pairs.object, human * width + partner)
    targets[row, hoi_verb_ids[hoi_id]] = 1
    return targets
