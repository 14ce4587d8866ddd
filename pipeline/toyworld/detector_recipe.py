"""The recipe of the small detector: train a Faster R-CNN on a corpus of its own and measure it on a third one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from tqdm import trange

from pipeline.core.seeding import torch_seed
from pipeline.core.types import Proposals
from pipeline.toyworld.quality import detection_ap50, pair_recall, pairs_per_image
from pipeline.toyworld.scenes import Scene, render_scene
from pipeline.toyworld.training import Recipe, train_epochs
from pipeline.toyworld.vocabulary import toyworld_vocabulary


@dataclass(frozen=True)
class DetectorRecipe(Recipe):
    """Settings of the detector's training; every number of the recipe is here."""

    seed: int = 0
    num_images: int = 4000
    num_quality_images: int = 500
    epochs: int = 3
    batch_size: int = 8
    learning_rate: float = 2e-3  # peak of a one-cycle schedule
    weight_decay: float = 1e-4
    corpus_exponent: float = 0.0  # all configurations equally often
    quality_exponent: float = 0.4  # as val and test
    score_threshold: float = 0.15  # of the pair figures


def images_to_tensor(scenes: Sequence[Scene]) -> Tensor:
    """Stack images to uint8 [I, 3, H, W]."""
    return torch.from_numpy(np.stack([np.asarray(scene.image) for scene in scenes])).permute(0, 3, 1, 2).contiguous()


def detection_target(scene: Scene) -> dict[str, Tensor]:
    """Return torchvision's target of a scene: boxes [K, 4] and labels int64 [K], object id + 1."""
    return {"boxes": torch.from_numpy(scene.boxes), "labels": torch.from_numpy(scene.object_ids + 1)}


def train_detector(model: FasterRCNN, recipe: DetectorRecipe) -> FasterRCNN:
    """Train in place on the "detector_corpus" split; seeds torch's global generator, with which torchvision samples."""
    torch.manual_seed(torch_seed(recipe.seed, "toyworld", "detector", "train"))
    scenes = [
        render_scene("detector_corpus", index, root_seed=recipe.seed, exponent=recipe.corpus_exponent)
        for index in trange(recipe.num_images, desc="detector corpus", disable=None)
    ]
    images, targets = images_to_tensor(scenes), [detection_target(scene) for scene in scenes]
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)

    def loss_of(rows: Tensor) -> Tensor:
        batch = rows.tolist()
        losses = model([images[row].float() / 255 for row in batch], [targets[row] for row in batch])
        return torch.stack(list(losses.values())).sum()

    train_epochs("detector", recipe, model.train(), optimizer, loss_of, max_norm=5.0)
    return model.eval()


@torch.inference_mode()
def detect_scenes(model: FasterRCNN, scenes: Sequence[Scene], batch_size: int = 16) -> list[Proposals]:
    """Run the detector over scenes; labels become object ids again."""
    model.eval()
    images, proposals = images_to_tensor(scenes), []
    for first in trange(0, len(scenes), batch_size, desc="detector quality", disable=None):
        for output in model([image.float() / 255 for image in images[first : first + batch_size]]):
            boxes, scores, labels = (output[key].numpy() for key in ("boxes", "scores", "labels"))
            proposals.append(Proposals(boxes, scores, labels - 1))
    return proposals


def measure_detector(model: FasterRCNN, recipe: DetectorRecipe) -> dict[str, float]:
    """Quality on the "detector_quality" split: AP50, recall of interacting pairs, candidates an image."""
    vocabulary = toyworld_vocabulary()
    scenes = [
        render_scene("detector_quality", index, root_seed=recipe.seed, exponent=recipe.quality_exponent)
        for index in range(recipe.num_quality_images)
    ]
    proposals = detect_scenes(model, scenes)
    threshold = recipe.score_threshold
    return {
        "ap50": round(detection_ap50(proposals, scenes, vocabulary.num_objects), 4),
        "pair_recall": round(pair_recall(proposals, scenes, threshold), 4),
        "pairs_per_image": round(pairs_per_image(proposals, vocabulary.human_object_id, threshold), 2),
    }
