"""`explanation_hoi`: Explanation-HOI (Baldassarre et al., ECCV 2020, arXiv 2006.09562), trained on proposals alone.

A graph network over detected boxes recognizes the verbs of an image; image-level verb labels train it, nothing else.
The score of (human, verb, object) is y x relevance(human) x relevance(pair) x relevance(object) x detector scores,
with y the verb's probability and relevances the L1 norms of its gradients with respect to the input features.

Other than in the released code, graphs of training are made of proposals instead of annotated boxes, the learning rate
falls at fixed iterations instead of where the validation loss stops falling, and the last step is kept.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.core.bags import BagBatch
from pipeline.core.outputs import OutputColumn
from pipeline.methods.base import BatchCounts, Losses, Method, Outputs, Parts, at_least_one
from pipeline.methods.explanation_hoi.network import ExplanationHoiNetwork
from pipeline.methods.explanation_hoi.params import ExplanationHoiParams
from pipeline.methods.image_labels import LabeledClasses, summed_bce
from pipeline.methods.pairing import PairIndex


class ExplanationHoiLosses(Losses):
    """Binary cross-entropy of the images' verbs: the mean over images with an edge, and verbs."""

    def __init__(self, classes: LabeledClasses) -> None:
        super().__init__()
        self.classes, self.num_verbs = classes, int(classes.seen_verbs.sum())

    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the one term."""
        bags, verbs = pairs.bags, self.classes.verbs(batch.labels)
        total = summed_bce(outputs["verb_logits"][bags], verbs[bags], self.classes.seen_verbs)
        return {"verb": total / (at_least_one(whole.bags) * max(self.num_verbs, 1))}


class ExplanationHoi(Method):
    """Verbs of images, explained."""

    Params = ExplanationHoiParams
    params: ExplanationHoiParams
    needs_gradients = True
    needs_class_probabilities = True
    columns = (
        OutputColumn("verb_logits", "image", "verbs", "verb"),
        OutputColumn("relevance_logs", "pair", "verbs", "relevance", "exp"),
    )
    loss_names = ("verb",)

    def build(self, parts: Parts) -> ExplanationHoiNetwork:
        """The graph network on a frozen backbone."""
        return ExplanationHoiNetwork(parts, self.params)

    def losses(self, classes: LabeledClasses) -> Losses:
        """Recognition of verbs."""
        return ExplanationHoiLosses(classes)


METHOD = ExplanationHoi
