"""Recipe of the toyworld's second CLIP, a frozen stage: a vision transformer that learns from that of `toy_clip`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.store.clip_checkpoint import load_clip
from pipeline.store.files import sha256_of
from pipeline.toyworld.clip_distillation import ClipViTRecipe, Distillation, check_teacher
from stages import toy_clip
from stages._command import stage_command
from stages._recipe import recipe_options

DEFAULT_OUTPUT = Path("pipeline/toyworld/weights/clip_vit.safetensors")


@stage_command("toy-clip-vit", help="Train the small CLIP of the synthetic world that has a vision transformer.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT_OUTPUT, show_default=True)
@recipe_options(ClipViTRecipe)
def command(recipe: ClipViTRecipe, output: Path) -> None:
    """Make the CLIP with a vision transformer."""
    loaded = load_clip(str(toy_clip.DEFAULT_OUTPUT))
    check_teacher(loaded, recipe)
    toy_clip.make_clip(
        recipe,
        output,
        lambda model: Distillation(model, loaded.model, recipe),
        teacher={"weights": toy_clip.DEFAULT_OUTPUT.name, "sha256": sha256_of(toy_clip.DEFAULT_OUTPUT)},
    )


if __name__ == "__main__":
    command()
