"""`alignformer_like`: AlignFormer (Kilickaya & Smeulders 2021), reconstructed from its abstract."""

from __future__ import annotations

from pipeline.core.outputs import OutputColumn
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.alignformer_like.losses import LOSS_NAMES, AlignFormerLosses
from pipeline.methods.alignformer_like.network import AlignFormerNetwork
from pipeline.methods.alignformer_like.params import AlignFormerParams
from pipeline.methods.base import Losses, Method, Parts


class AlignFormerLike(Method):
    """Set prediction of pairs, aligned to image-level labels by a geometric and a visual prior."""

    Params = AlignFormerParams
    params: AlignFormerParams
    needs_teacher = True
    columns = (OutputColumn("interaction_logits", "pair", "verbs", "pairwise"),)
    loss_names = LOSS_NAMES

    def build(self, parts: Parts) -> AlignFormerNetwork:
        """Decoder and, in training, CLIP as the visual prior."""
        return AlignFormerNetwork(parts, self.params)

    def losses(self, vocabulary: Vocabulary) -> Losses:
        """The set loss."""
        return AlignFormerLosses(vocabulary, self.params)


METHOD = AlignFormerLike
