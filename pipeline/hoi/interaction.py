"""Interaction scores s_p of pairs: the method's classifier (eq. 2), and those of the rows that it is compared with.

M pairs, A verbs, H HOI classes, C object categories, D embedding width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.core.vocabulary import Vocabulary
from pipeline.hoi.pairing import PairIndex
from pipeline.hoi.segments import segment_log_softmax

IMPOSSIBLE = -20.0  # logit of a verb that forms no HOI class with the pair's object category


class ParallelSelection(nn.Module):
    """PPR-FCN's two parallel branches (Zhang et al. 2017): which pair of the image, and which verb.

    A pair's score is softmax over the image's pairs of the selection times sigmoid of the classification; their sum
    over pairs is the image's score. The logits returned are those of that product.

    Args:
        selection, classification: modules from [M, D] to [M, A].
    """

    def __init__(self, *, selection: nn.Module, classification: nn.Module) -> None:
        super().__init__()
        self.selection, self.classification = selection, classification

    def forward(self, representation: Tensor, pairs: PairIndex) -> Tensor:
        """Logits [M, A] of representations [M, D]."""
        selected = segment_log_softmax(self.selection(representation), pairs.image, len(pairs.offsets) - 1)
        return logit_of_log(selected + functional.logsigmoid(self.classification(representation)))


class VerbsOfPairs(nn.Module):
    """From HOI scores of a pair to verb scores: the pair's object category says which HOI class a verb means."""

    hoi_of: Tensor

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        table = torch.full((vocabulary.num_objects, vocabulary.num_verbs), -1)
        objects, verbs = torch.from_numpy(vocabulary.hoi_object_ids), torch.from_numpy(vocabulary.hoi_verb_ids)
        table[objects, verbs] = torch.arange(vocabulary.num_hois)
        self.register_buffer("hoi_of", table, persistent=False)  # [C, A], -1 where there is no such class

    def forward(self, hoi_logits: Tensor, pair_object_ids: Tensor) -> Tensor:
        """Gather [M, A] from HOI logits [M, H]; verbs without a class for that object get `IMPOSSIBLE`."""
        hoi_ids = self.hoi_of[pair_object_ids]  # [M, A]
        gathered = hoi_logits.gather(1, hoi_ids.clamp(min=0))
        return gathered.masked_fill(hoi_ids < 0, IMPOSSIBLE)


def zero_shot_logits(similarities: Tensor) -> Tensor:
    """CLIP as a classifier of HOI sentences (Abl 1): logits of the softmax over H of scaled similarities [M, H]."""
    return logit_of_log(torch.log_softmax(similarities, 1))


def logit_of_log(log_probability: Tensor) -> Tensor:
    """log p to log(p / (1 - p)), finite for every p in 0..1."""
    kept = log_probability.clamp(min=IMPOSSIBLE, max=-1e-6)
    return kept - torch.log(-torch.expm1(kept))
