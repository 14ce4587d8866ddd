"""Section `model` of params.yaml."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pipeline.config.file import build_section
from pipeline.config.types import KnownKeys, Switch, Text, Whole, within

Settings = TypeVar("Settings")


CLIP_BACKBONES = ("clip_resnet", "clip_vit")  # of the two kinds of CLIP


@dataclass(frozen=True)
class ModelParams(KnownKeys):
    """Which method on which backbone, and their own settings in sub-sections that are named after them."""

    method: Text  # a file or folder of pipeline/methods, or the dotted name of a module of yours
    backbone: Text  # a file of pipeline/backbones, or the dotted name of a module of yours
    image_size: Annotated[Whole, within(32, 4096)]  # pixels; images are resized to a square of this side
    clip: Text | None = None  # another CLIP than `clip.weights`, for this variant alone (RN101)
    bank: Literal["clip", "random", "roberta"] = "clip"
    flip_at_inference: Switch = False  # outputs are the means over each image and its mirror image
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # by name; in params.yaml directly under `model`

    @property
    def has_own_bank(self) -> bool:
        """Whether the run starts from another knowledge bank than the dataset's; `train` encodes it."""
        return self.bank == "roberta" or self.clip is not None

    def used(self) -> ModelParams:
        """The section without the settings of other methods and backbones: what a run's manifest records.

        CLIP's own encoder may be a teacher beside any backbone.
        """
        names = {name.rpartition(".")[2] for name in (self.method, self.backbone, *CLIP_BACKBONES)}
        kept = {name: value for name, value in self.settings.items() if name in names}
        return dataclasses.replace(self, settings=kept)

    def settings_of(self, name: str, kind: type[Settings], faults: list[str]) -> Settings | None:
        """Build the settings of the method or backbone `name`; on faults append to the list and return None."""
        own = name.rpartition(".")[2]
        return build_section(kind, self.settings.get(own, {}), f"model.{own}", faults)
