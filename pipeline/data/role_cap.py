"""Which proposals of an image are paired in training: the best of each role, so that no role crowds out the other.

Among the best of all, a crowd would leave no object, and a table of small things no human.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.types import IntArray
from pipeline.store.proposals_file import SplitProposals, StoredProposals


@dataclass(frozen=True)
class RoleCap:
    """At most `limit` proposals of an image: half of them humans, half others; what one role leaves is the other's.

    Attributes:
        human: category whose proposals are humans.
    """

    limit: int
    human: int

    def rows(self, object_ids: IntArray) -> IntArray:
        """Rows that are kept, ascending, of an image's proposals [n], which are in order of falling score."""
        humans, others = (np.flatnonzero(chosen) for chosen in (object_ids == self.human, object_ids != self.human))
        num_humans, num_others = self._kept(np.array(len(humans)), np.array(len(others)))
        return np.sort(np.concatenate([humans[:num_humans], others[:num_others]]))

    def left_out(self, proposals: SplitProposals | StoredProposals, images: IntArray) -> str | None:
        """One line on what is left out of these images; None where nothing is."""
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(proposals.object_ids == self.human)])
        humans = np.diff(sums[proposals.offsets])[images]
        others = np.diff(proposals.offsets)[images] - humans
        kept_humans, kept_others = self._kept(humans, others)
        crowded = int((humans + others > self.limit).sum())
        if not crowded:
            return None
        return (
            f"train.max_proposals is {self.limit}: {crowded} of {len(images)} images have more proposals; their best "
            f"humans and their best others are paired, and {(humans - kept_humans).sum()} of {humans.sum()} humans and "
            f"{(others - kept_others).sum()} of {others.sum()} others are left out"
        )

    def _kept(self, humans: IntArray, others: IntArray) -> tuple[IntArray, IntArray]:
        """How many of each role are kept, of so many."""
        kept = np.minimum(humans, np.maximum(self.limit - others, (self.limit + 1) // 2))
        return kept, np.minimum(others, self.limit - kept)
