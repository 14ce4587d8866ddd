"""Recipe of the toyworld's CLIP, a frozen stage: train it, write its weights, and measure its quality."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import click
import torch

from pipeline.core.seeding import torch_seed
from pipeline.store.clip_architecture import build_clip
from pipeline.store.clip_checkpoint import ClipCheckpoint, load_clip, save_clip, token_table
from pipeline.store.openai_clip import CLIP
from pipeline.toyworld.captions import known_texts
from pipeline.toyworld.clip_recipe import ClipRecipe, Objective, measure_clip, train_clip
from stages._command import stage_command
from stages._recipe import check_output, recipe_options, write_recipe_manifest

DEFAULT_OUTPUT = Path("pipeline/toyworld/weights/clip.safetensors")
TRAINING_SET = "toyworld clip corpus"


@stage_command("toy-clip", help="Train the small CLIP of the synthetic world.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT_OUTPUT, show_default=True)
@recipe_options(ClipRecipe)
def command(recipe: ClipRecipe, output: Path) -> None:
    """Make the CLIP with a ResNet."""
    make_clip(recipe, output, Objective)


def make_clip(
    recipe: ClipRecipe, output: Path, objective: Callable[[CLIP], Objective], **provenance: dict[str, str]
) -> None:
    """Build, train, save, and measure the saved weights.

    Args:
        objective: what a new model learns.
        provenance: further entries of the manifest.
    """
    check_output(output, TRAINING_SET)
    token_ids = token_table(known_texts())
    config = recipe.architecture(len(token_ids))
    torch.manual_seed(torch_seed(recipe.seed, "toyworld", "clip", "weights"))
    untrained = ClipCheckpoint(build_clip(config), "toyworld CLIP", "", token_ids)
    train_clip(objective(untrained.model), untrained.tokenize, recipe)
    save_clip(output, untrained.model, token_ids=token_ids, metadata={"training_set": TRAINING_SET})
    quality = measure_clip(load_clip(str(output)), recipe)
    architecture = {"name": "clip.model.CLIP"} | dataclasses.asdict(config)
    write_recipe_manifest(output, recipe, quality, architecture, **provenance)


if __name__ == "__main__":
    command()
