"""Section `train` of params.yaml; what the paper says of it stands in sections 3.3 and 4.2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipeline.config.types import (
    BatchSize,
    Fraction,
    KnownKeys,
    MaxProposals,
    Real,
    Seed,
    Switch,
    Text,
    VariantName,
    Weight,
    Whole,
    within,
)


@dataclass(frozen=True)
class TrainParams(KnownKeys):
    """Optimization of the network. The method's own settings stand under `model`."""

    decay_at: tuple[Fraction, ...]  # fractions of all iterations (paper: 12K and 24K of 60K)
    epochs: Annotated[Whole, within(0, 100_000)]  # 0 keeps the weights that training would start from (Abl 1)
    batch_size: BatchSize  # images, over all ranks
    max_proposals: MaxProposals  # of an image that are paired in training: the best of each role (data/role_cap.py)
    backbone_learning_rate: Annotated[Real, within(0, 10)]
    learning_rate: Annotated[Real, within(0, 10)]  # all other parameters
    warmup_iterations: Annotated[Whole, within(0, 1_000_000_000)]
    checkpoint_every: Annotated[Whole, within(1, 1_000_000_000)]  # iterations
    num_workers: Annotated[Whole, within(0, 256)]
    optimizer: Literal["adamw", "adam"] = "adamw"  # adam: weight decay is part of the gradient (L2)
    schedule: Literal["steps", "cosine"] = "steps"  # after the warm-up: steps at `decay_at`, or half a cosine
    final_factor: Fraction = 0.01  # cosine: the last step's part of the learning rate
    labels: Literal["annotated", "captions", "clip"] | None = None  # of images; null: those of prepare.labels
    supervision: Literal["labels", "boxes", "mixed"] = "labels"  # boxes: annotated pairs too, of all images, or of
    boxes_share: Fraction | None = None  # mixed: this share of the images
    precision: Literal["float32", "bfloat16"] = "float32"
    shuffle_labels: Switch = False  # control: image-level labels permuted among the images
    freeze_batch_norm: Switch = True
    decay_factor: Fraction = 0.1
    weight_decay: Annotated[Real, within(0, 10)] = 1e-4
    gradient_clip: Annotated[Real, within(1e-6, 1e6)] = 5.0
    loss_weights: dict[Text, Weight] = field(default_factory=dict)  # of the method's loss terms; 1 if not named
    flip_probability: Fraction = 0.5
    seed: Seed = 0
    stored_features: VariantName | None = None  # row whose `encode_images` stands for images; null: images
    unseen: Text | None = None  # a class split (data/class_splits.py) whose unseen classes have no labels in training

    @property
    def share_of_boxes(self) -> float:
        """Share of the training images whose annotated pairs are learned from, 0..1."""
        return {"labels": 0.0, "boxes": 1.0, "mixed": self.boxes_share or 0.0}[self.supervision]
