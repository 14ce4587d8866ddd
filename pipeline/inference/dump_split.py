"""Raw pair logits of a split: the network over all bags in image order, as work that is cut into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.inference.bag_work import BagWork, LoadedBags, cut_by_image
from pipeline.inference.pair_outputs import PROPOSAL_ARRAYS, batch_outputs, empty_outputs, pair_arrays
from pipeline.store.parts import Arrays


@dataclass(frozen=True)
class InferWork(BagWork):
    """Raw logits of every image; `dump_columns` makes the columns of a dump from its parts."""

    @property
    def empty(self) -> Arrays:
        """Zero rows of every array of `batch_outputs`."""
        return empty_outputs(self.model.method.columns, self.vocabulary)

    def run(self, images: Sequence[int], loaded: LoadedBags) -> list[Arrays]:
        """Run the network on a batch."""
        arrays = batch_outputs(self.model, self.vocabulary, loaded.batch, loaded.scores, self.device)
        per_proposal = dict.fromkeys(PROPOSAL_ARRAYS, arrays["proposal_counts"])
        return cut_by_image(
            arrays, per_proposal | dict.fromkeys(pair_arrays(self.model.method.columns), arrays["pair_counts"])
        )
