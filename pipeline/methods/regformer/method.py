"""`regformer`: detection without training on boxes or proposals (RegFormer, CVPR 2026)."""

from __future__ import annotations

from pipeline.core.errors import ParamError
from pipeline.core.outputs import OutputColumn
from pipeline.methods.base import Losses, Method, Parts
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.regformer.losses import RegFormerLosses
from pipeline.methods.regformer.network import RegFormerNetwork
from pipeline.methods.regformer.params import RegFormerParams

_INSTANCE = (
    OutputColumn("local_logs", "pair", None, "local", "exp"),
    OutputColumn("mass_logs", "pair", None, "mass", "exp"),
)


class RegFormer(Method):
    """Trained on images and their labels; at inference boxes become masks of patches.

    The published score of a pair is pairwise^1 local^kappa mass^kappa detector^1: the exponents are weights of
    `evaluate`. The image-level factor "global" is not part of it.
    """

    Params = RegFormerParams
    params: RegFormerParams
    needs_proposals = False
    loss_names = ("focal",)

    @property
    def needs_text_encoder(self) -> bool:  # type: ignore[override]
        """LoRA trains it."""
        return self.params.lora != "none"

    @property
    def columns(self) -> tuple[OutputColumn, ...]:
        """eta, z, and the instance score's two factors, which `clamp_inference` holds within z."""
        columns = (
            OutputColumn("interaction_logits", "pair", "verbs", "pairwise"),
            OutputColumn("image_logits", "image", "hois", "global"),
        )
        return columns if self.params.clamp_inference else (*columns, *_INSTANCE)

    def build(self, parts: Parts) -> RegFormerNetwork:
        """The network on a backbone's patches.

        Raises:
            ParamError: the heads do not divide the width.
        """
        if self.params.width % self.params.heads:
            raise ParamError(
                f"model.regformer.width is {self.params.width}; expected a multiple of the {self.params.heads} heads"
            )
        return RegFormerNetwork(parts, self.params)

    def losses(self, classes: LabeledClasses) -> Losses:
        """The focal loss."""
        return RegFormerLosses(classes, self.params)


METHOD = RegFormer
