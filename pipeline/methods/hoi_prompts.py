"""HOI sentences as a classifier of pairs: similarity to every HOI class, read as verbs of the pair's object."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.core.vocabulary import Vocabulary

IMPOSSIBLE = -20.0  # logit of a verb that forms no HOI class with the pair's object category


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


def logit_of_log(log_probability: Tensor) -> Tensor:
    """log p to log(p / (1 - p)), finite for every p in 0..1."""
    kept = log_probability.clamp(min=IMPOSSIBLE, max=-1e-6)
    return kept - torch.log(-torch.expm1(kept))
