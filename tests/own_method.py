"""`own_method`: recognizes HOI classes of the image, and verbs of a pair from its two regions."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from pipeline.config.types import KnownKeys, Whole, within
from pipeline.core.outputs import OutputColumn
from pipeline.methods.base import HoiNetwork, Losses, Method
from pipeline.methods.image_labels import mil_loss, summed_bce


@dataclass(frozen=True)
class OwnParams(KnownKeys):
    hidden: Annotated[Whole, within(1, 4096)] = 16


class OwnNetwork(HoiNetwork):
    def __init__(self, parts, params):
        super().__init__()
        self.backbone, width = parts.backbone, parts.backbone.embed_dim
        self.scene = nn.Linear(width, parts.vocabulary.num_hois)
        self.hidden = nn.Linear(2 * width, params.hidden)
        self.action = nn.Linear(params.hidden, parts.vocabulary.num_verbs)

    def forward(self, batch, pairs):
        features, image = self.backbone.features_of(batch), batch.proposal_image
        boxes = batch.boxes / batch.image_sizes.repeat(1, 2)[image]  # 0..1 of their images
        regions = self.backbone.region_embedding(features, boxes, image)
        both = torch.cat([regions[pairs.human], regions[pairs.object]], 1)
        return {
            "scene_logits": self.scene(self.backbone.global_embedding(features)),  # [I, H]
            "action_logits": self.action(self.hidden(both).relu()),  # [M, A]
        }


class OwnLosses(Losses):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, outputs, batch, pairs, whole):
        scene = summed_bce(outputs["scene_logits"], batch.labels, self.classes.seen)
        action = mil_loss(outputs["action_logits"], pairs, batch.labels, self.classes)
        return {"scene": scene / whole.images, "action": action / whole.images}


class OwnMethod(Method):
    Params = OwnParams
    columns = (
        OutputColumn("scene_logits", per="image", classes="hois", factor="place"),
        OutputColumn("action_logits", per="pair", classes="verbs", factor="deed", link="softmax"),
    )
    loss_names = ("scene", "action")

    def build(self, parts):
        return OwnNetwork(parts, self.params)

    def losses(self, classes):
        return OwnLosses(classes)


METHOD = OwnMethod
