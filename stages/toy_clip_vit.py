"""Recipe of the toyworld's second CLIP, a frozen stage: that of `toy_clip` with a vision transformer."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.toyworld.clip_recipe import ClipViTRecipe
from stages._command import stage_command
from stages._recipe import recipe_options
from stages.toy_clip import make_clip

DEFAULT_OUTPUT = Path("pipeline/toyworld/weights/clip_vit.safetensors")


@stage_command("toy-clip-vit", help="Train the small CLIP of the synthetic world that has a vision transformer.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT_OUTPUT, show_default=True)
@recipe_options(ClipViTRecipe)
def command(recipe: ClipViTRecipe, output: Path) -> None:
    """Make the CLIP with a vision transformer."""
    make_clip(recipe, output)


if __name__ == "__main__":
    command()
