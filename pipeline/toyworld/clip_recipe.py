"""The recipe of the small CLIP: captioned views of their own corpus, and a contrastive loss with several positives.

A caption is right for every image that shows the classes it claims, not only for its own: with 40 classes and batches
of a hundred, many other images show them as well, and must not be negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from tqdm import trange

from pipeline.core.seeding import seed_sequence
from pipeline.store.clip_architecture import ClipConfig
from pipeline.store.clip_checkpoint import ClipCheckpoint
from pipeline.store.openai_clip import CLIP
from pipeline.toyworld.captions import Caption, canonical_prompts, caption_scene
from pipeline.toyworld.quality import mean_average_precision
from pipeline.toyworld.scenes import Scene, render_scene
from pipeline.toyworld.training import Recipe, train_epochs
from pipeline.toyworld.views import View, hoi_labels, normalize, pair_view, whole_view
from pipeline.toyworld.vocabulary import toyworld_vocabulary


@dataclass(frozen=True)
class ClipRecipe(Recipe):
    """Settings of the CLIP's training; every number of the recipe is here. The image tower is a ResNet."""

    seed: int = 0
    num_images: int = 24000
    num_quality_images: int = 1500
    epochs: int = 7
    batch_size: int = 64
    learning_rate: float = 2e-3  # peak of a one-cycle schedule
    weight_decay: float = 0.05
    max_logit_scale: float = 50.0
    captions_per_image: int = 3  # new ones in every batch; a text costs a twentieth of an image
    crop_share: float = 0.4  # of views that are windows around a pair, the others are whole images
    exponent: float = 0.0  # configurations equally often, in the corpus and in the quality split
    # Architecture: just under 3 MB in float16.
    embed_dim: int = 96
    image_resolution: int = 128
    vision_width: int = 16
    context_length: int = 32
    transformer_width: int = 64
    transformer_heads: int = 4
    transformer_layers: int = 2

    def architecture(self, vocab_size: int) -> ClipConfig:
        """Sizes of the CLIP, for a token table of so many rows."""
        return ClipConfig(
            embed_dim=self.embed_dim,
            image_resolution=self.image_resolution,
            vision_layers=(1, 1, 1, 1),
            vision_width=self.vision_width,
            context_length=self.context_length,
            vocab_size=vocab_size,
            transformer_width=self.transformer_width,
            transformer_heads=self.transformer_heads,
            transformer_layers=self.transformer_layers,
        )


Tokenizer = Callable[[Sequence[str]], Tensor]


class Views:
    """Views of one kind, filled row by row: pixels uint8 [N, 3, R, R], and the scene that each one shows."""

    def __init__(self, count: int, resolution: int) -> None:
        self.pixels = torch.empty(count, 3, resolution, resolution, dtype=torch.uint8)
        self.scenes: list[Scene] = []

    def append(self, view: View) -> None:
        """Fill the next row."""
        self.pixels[len(self.scenes)] = torch.from_numpy(view.pixels)
        self.scenes.append(view.scene)


@dataclass(frozen=True)
class Corpus:
    """Two views of each scene of a split: the whole image and a window around a pair."""

    whole: Views
    windows: Views


def _random(recipe: ClipRecipe, *names: str | int) -> Random:
    return Random(int(seed_sequence(recipe.seed, "toyworld", "clip", *names).generate_state(1, np.uint64)[0]))


def render_corpus(split: str, count: int, recipe: ClipRecipe) -> Corpus:
    """Render `count` scenes of a split in both views."""
    whole, windows = Views(count, recipe.image_resolution), Views(count, recipe.image_resolution)
    random = _random(recipe, split, "windows")
    for index in trange(count, desc=split.replace("_", " "), disable=None):
        scene = render_scene(split, index, root_seed=recipe.seed, exponent=recipe.exponent)
        whole.append(whole_view(scene, recipe.image_resolution))
        windows.append(pair_view(scene, recipe.image_resolution, random))
    return Corpus(whole, windows)


def contrastive_targets(captions: Sequence[Caption], labels: Tensor) -> Tensor:
    """Which caption is right for which image, bool [B, T]: its own ones, and any generic one whose classes it holds.

    Args:
        captions: T = B * k of them, k of image 0, then k of image 1 ...
        labels: bool [B, H], HOI classes of each image.
    """
    num_images, num_classes = labels.shape
    claimed = torch.zeros(len(captions), num_classes, dtype=torch.bool)
    for row, caption in enumerate(captions):
        claimed[row, list(caption.hoi_ids)] = True
    holds = (~labels).float() @ claimed.float().T == 0  # no claimed class is absent
    generic = torch.tensor([caption.generic for caption in captions])
    own = torch.eye(num_images, dtype=torch.bool).repeat_interleave(len(captions) // num_images, dim=1)
    return (holds & generic[None]) | own


def contrastive_loss(logits: Tensor, right: Tensor) -> Tensor:
    """CLIP's symmetric cross entropy with the target spread evenly over all right captions (images).

    Args:
        logits: [B, T], image by caption.
        right: bool [B, T], from `contrastive_targets`; no row or column is empty.
    """
    targets = right.float()
    by_image = functional.cross_entropy(logits, targets / targets.sum(1, keepdim=True))
    by_text = functional.cross_entropy(logits.T, (targets / targets.sum(0, keepdim=True)).T)
    return (by_image + by_text) / 2


class Objective(nn.Module):
    """What a CLIP learns: CLIP's own contrastive task.

    Args:
        model: a freshly built CLIP.
    """

    def __init__(self, model: CLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, tokens: Tensor, right: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            images: normalized, [B, 3, R, R].
            tokens: of the captions, int64 [T, context_length].
            right: bool [B, T], from `contrastive_targets`.
        """
        return contrastive_loss(similarities(self.model, self.model.encode_image(images), tokens), right)


def train_clip(objective: Objective, tokenize: Tokenizer, recipe: ClipRecipe) -> None:
    """Train an objective's model in place on the "clip_corpus" split; it is left in evaluation mode.

    Args:
        tokenize: texts to int64 [n, context_length] in the model's token table.
    """
    corpus = render_corpus("clip_corpus", recipe.num_images, recipe)
    random = _random(recipe, "captions")
    objective.model.train().to(memory_format=torch.channels_last)
    optimizer = _optimizer(objective, recipe)

    def loss_of(rows: Tensor) -> Tensor:
        pixels, captions, labels = _draw_batch(corpus, rows, recipe, random)
        tokens = tokenize([caption.text for caption in captions])
        loss: Tensor = objective(normalize(pixels), tokens, contrastive_targets(captions, labels))
        return loss

    train_epochs("clip", recipe, objective, optimizer, loss_of, max_norm=1.0)
    objective.model.eval()


def _optimizer(objective: Objective, recipe: ClipRecipe) -> AdamW:
    """AdamW, weight decay on matrices and kernels only; each step ends by limiting the logit scale."""
    weights = [weight for weight in objective.parameters() if weight.requires_grad]
    decayed = [weight for weight in weights if weight.ndim > 1]
    plain = [weight for weight in weights if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=recipe.learning_rate)
    largest = float(np.log(recipe.max_logit_scale))
    optimizer.register_step_post_hook(lambda *_: objective.model.logit_scale.data.clamp_(max=largest))
    return optimizer


def _draw_batch(
    corpus: Corpus, rows: Tensor, recipe: ClipRecipe, random: Random
) -> tuple[Tensor, list[Caption], Tensor]:
    """Draw the view, mirroring and k captions of each row: pixels uint8 [B, 3, R, R], captions B * k, labels [B, H]."""
    window = torch.tensor([random.random() < recipe.crop_share for _ in range(len(rows))])
    pixels = torch.where(window[:, None, None, None], corpus.windows.pixels[rows], corpus.whole.pixels[rows])
    mirrored = torch.tensor([random.random() < 0.5 for _ in range(len(rows))])
    pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
    scenes = [
        (corpus.windows if use_window else corpus.whole).scenes[row]
        for row, use_window in zip(rows.tolist(), window.tolist(), strict=True)
    ]
    captions = [caption_scene(scene, random) for scene in scenes for _ in range(recipe.captions_per_image)]
    return pixels, captions, torch.from_numpy(hoi_labels(scenes))


def similarities(model: CLIP, images: Tensor, tokens: Tensor) -> Tensor:
    """Scaled cosine similarities of image vectors [B, D] and texts, [B, T]."""
    images = functional.normalize(images, dim=-1)
    texts = functional.normalize(model.encode_text(tokens), dim=-1)
    logits: Tensor = model.logit_scale.exp() * images @ texts.T
    return logits


@torch.inference_mode()
def zero_shot_scores(checkpoint: ClipCheckpoint, pixels: Tensor, batch_size: int = 128) -> Tensor:
    """Cosine similarity of views uint8 [V, 3, R, R] with the canonical prompt of each HOI class, [V, H]."""
    model = checkpoint.model
    texts = functional.normalize(model.encode_text(checkpoint.tokenize(canonical_prompts())), dim=-1)
    images = [functional.normalize(model.encode_image(normalize(batch)), dim=-1) for batch in pixels.split(batch_size)]
    return torch.cat(images) @ texts.T


def measure_clip(checkpoint: ClipCheckpoint, recipe: ClipRecipe) -> dict[str, float]:
    """Zero-shot quality on the "clip_quality" split.

    - image_map: mean AP over HOI classes of ranking whole images by a class's prompt; image_chance: its expectation
      for a random ranking.
    - window_map, window_chance: the same for windows around pairs.
    - verb_accuracy: share of windows whose best prompt among those of the pair's object is a right one;
      verb_chance: the same for a random prompt.
    """
    corpus = render_corpus("clip_quality", recipe.num_quality_images, recipe)
    figures: dict[str, float] = {}
    for name, views in (("image", corpus.whole), ("window", corpus.windows)):
        labels, scores = hoi_labels(views.scenes), zero_shot_scores(checkpoint, views.pixels).numpy()
        figures[f"{name}_map"] = mean_average_precision(scores, labels)
        figures[f"{name}_chance"] = float(labels.mean(0)[labels.any(0)].mean())
    figures["verb_accuracy"], figures["verb_chance"] = _verb_accuracy(scores, labels)  # of the windows
    return {name: round(value, 4) for name, value in figures.items()}


def _verb_accuracy(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy of the best verb given the object, over views whose classes are all of one object; and chance."""
    object_ids = toyworld_vocabulary().hoi_object_ids
    right, chance = [], []
    for row_scores, row_labels in zip(scores, labels, strict=True):
        objects = np.unique(object_ids[row_labels])
        if len(objects) == 1:
            candidates = np.flatnonzero(object_ids == objects[0])
            right.append(bool(row_labels[candidates[row_scores[candidates].argmax()]]))
            chance.append(float(row_labels[candidates].mean()))
    return float(np.mean(right)), float(np.mean(chance))
