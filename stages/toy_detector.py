"""Recipe of the toyworld's detector, a frozen stage: train it, write its weights, and measure its quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.toyworld.detector_recipe import DetectorRecipe
from stages._command import stage_command
from stages._recipe import check_output, recipe_options, write_recipe_manifest

DEFAULT_OUTPUT = Path("pipeline/toyworld/weights/detector.safetensors")
TRAINING_SET = "toyworld detector corpus"


@stage_command("toy-detector", help="Train the small Faster R-CNN of the synthetic world.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT_OUTPUT, show_default=True)
@recipe_options(DetectorRecipe)
def command(recipe: DetectorRecipe, output: Path) -> None:
    """Build, train, measure, save."""
    import torch

    from pipeline.core.seeding import torch_seed
    from pipeline.detection.small_fasterrcnn import save_small_fasterrcnn, small_fasterrcnn
    from pipeline.toyworld.detector_recipe import measure_detector, train_detector
    from pipeline.toyworld.vocabulary import OBJECTS

    check_output(output, TRAINING_SET)
    config: dict[str, Any] = {"image_size": 160}
    categories = ("__background__", *OBJECTS)
    torch.manual_seed(torch_seed(recipe.seed, "toyworld", "detector", "weights"))
    model = train_detector(small_fasterrcnn(len(categories), **config), recipe)
    save_small_fasterrcnn(output, model, config=config, categories=categories, training_set=TRAINING_SET)
    architecture = {"name": "small_fasterrcnn", "config": config, "categories": list(categories)}
    write_recipe_manifest(output, recipe, measure_detector(model, recipe), architecture)


if __name__ == "__main__":
    command()
