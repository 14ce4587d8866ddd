"""`alignformer_like`: a reconstruction of AlignFormer (Kilickaya & Smeulders 2021) from its abstract.

Its code is not public. What is theirs is the idea: a transformer predicts the set of an image's pairs, and an alignment
layer chooses what they learn from, by geometric and visual priors. The formulas are this project's, so figures of this
method do not stand for the published one: `priors.py` chooses targets, `decoder.py` is the transformer, `matching.py`
and `losses.py` the set loss, and `network.py` lets queries score pairs of proposals. AlignFormer detects with DETR
trained on HICO-DET; here targets and scored pairs are of the same proposals as every other method's.
"""

from __future__ import annotations

from pipeline.core.errors import ParamError
from pipeline.core.outputs import OutputColumn
from pipeline.methods.alignformer_like.losses import LOSS_NAMES, AlignFormerLosses
from pipeline.methods.alignformer_like.network import AlignFormerNetwork
from pipeline.methods.alignformer_like.params import AlignFormerParams
from pipeline.methods.base import Losses, Method, Parts
from pipeline.methods.image_labels import LabeledClasses


class AlignFormerLike(Method):
    """Set prediction of pairs, aligned to image-level labels by a geometric and a visual prior."""

    Params = AlignFormerParams
    params: AlignFormerParams
    needs_teacher = True
    couples_images = True  # targets are chosen by statistics as they were before the batch
    columns = (OutputColumn("interaction_logits", "pair", "verbs", "pairwise"),)
    loss_names = LOSS_NAMES

    def build(self, parts: Parts) -> AlignFormerNetwork:
        """Decoder and, in training, CLIP as the visual prior.

        Raises:
            ParamError: the heads cannot be shared by human and object.
        """
        params = self.params
        if params.heads % 2 or params.width % params.heads:
            raise ParamError(
                f"model.alignformer_like.heads is {params.heads}; expected an even number that divides the width "
                f"{params.width}: half of the heads look at the human, half at the object"
            )
        return AlignFormerNetwork(parts, self.params)

    def losses(self, classes: LabeledClasses) -> Losses:
        """The set loss."""
        return AlignFormerLosses(classes, self.params)


METHOD = AlignFormerLike
