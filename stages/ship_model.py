"""`ship_model`: a trained model into the package, which `predict` takes before anything is trained."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.core.errors import WeightsError
from pipeline.detection.params import DetectParams
from pipeline.evaluation.params import EvaluateParams
from pipeline.inference.params import InferParams
from pipeline.prediction.shipped import MODELS, ShippedModel, ship
from pipeline.store.checkpoint import load_checkpoint
from pipeline.store.inputs import StageInputs
from pipeline.store.manifests import read_stage_manifest
from stages._command import root_option, stage_command, variant_option
from stages._recipe import SIZE_LIMIT

_SECTIONS = (DetectParams, InferParams, EvaluateParams)  # what `predict` reads


@stage_command("ship-model", help="Put a trained model into the package, with its manifest.")
@click.option("--dataset", default="toyworld", show_default=True, help="Its detector must come with the package too.")
@variant_option
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), default=MODELS, help="Folder of the models."
)
@root_option
def command(dataset: str, variant: str, output: Path, root: Path) -> None:
    """Write the run's checkpoint in half precision, and the settings that it is used with."""
    layout, run = Layout(root, dataset), Run.parse(variant)
    params = load_params(layout.params, dataset, run)
    inputs = StageInputs(layout)
    state, config = load_checkpoint(inputs.take(layout.checkpoint(run), "train", run, alone=True))
    trained = read_stage_manifest(layout.stage_manifest("train", run))
    model = ShippedModel(dataset, run, output)
    size = ship(
        model, state, config, params=[params[kind] for kind in _SECTIONS], made_from=trained.inputs | inputs.named
    )
    if size >= SIZE_LIMIT:
        raise WeightsError(f"{model.folder}: {size} bytes, expected fewer than {SIZE_LIMIT}; ship a smaller model")
    click.echo(f"{model.folder}: {size} bytes")


if __name__ == "__main__":
    command()
