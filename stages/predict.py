"""`predict`: a trained model on a user's own images: detector and network in one pass, to JSON and drawn pictures.

Exit codes: 0 every image was predicted; 2 a user's mistake, or an output that cannot be written; 3 some were skipped.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_params, load_variants
from pipeline.config.run import Run, checkpoint_owner
from pipeline.core.device import open_device
from pipeline.core.errors import ArtifactError, DataError, ParamError, printable
from pipeline.data.image_files import as_utf8, find_images
from pipeline.detection.detectors import load_detector
from pipeline.detection.params import DetectParams
from pipeline.evaluation.fusion import fuse_factors
from pipeline.evaluation.params import EvaluateParams
from pipeline.inference.params import InferParams
from pipeline.inference.predict import predict_images
from pipeline.methods.model import model_from_config
from pipeline.report.prediction_picture import PictureFolder, draw_prediction, is_drawn
from pipeline.report.predictions import (
    best_of_image,
    check_predictions_target,
    image_record,
    predictions_text,
    summary_line,
    write_predictions,
)
from pipeline.store.checkpoint import load_checkpoint, vocabulary_of
from pipeline.store.files import refuse_links
from pipeline.store.inputs import StageInputs
from stages._command import device_option, progress, root_option, stage_command

SKIPPED = 3
_HELP = """Find who does what to which object on your own images: files, folders, or quoted glob patterns.

\b
Exit code 0: every image was predicted; 2: a mistake in the call; 3: some images could not be read and were skipped.
Only what an earlier call wrote is written over; pictures that one drew are left out as images.
Boxes are x1, y1, x2, y2 in pixels of the image turned upright (EXIF), right and bottom exclusive.
"""


@stage_command("predict", help=_HELP, short_help="Predict on your own images: JSON and drawn pictures.")
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...")
@click.option(
    "--dataset",
    show_default="that of --checkpoint, or toyworld",
    help="Section of params.yaml: its detector and score fusion are used.",
)
@click.option("--variant", show_default="that of --checkpoint, or ours", help="A row of params.yaml: variants.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    show_default="cache/DATASET/checkpoints/VARIANT",
    help="Folder of a trained model.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write the predictions as JSON; - is standard output.",
)
@click.option("--draw", type=click.Path(file_okay=False, path_type=Path), help="Folder for a picture of each image.")
@click.option("--top-k", type=click.IntRange(1), default=10, show_default=True, help="Triplets of an image, at most.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.01, show_default=True, help="Lowest score shown.")
@click.option("--detector", help="Another detector: small_fasterrcnn, or one of torchvision's by name.")
@click.option(
    "--detector-weights",
    help="A torchvision weights name, or a file; NAME.categories.json beside NAME.pt names its own categories.",
)
@click.option("--detector-threshold", type=click.FloatRange(0, 1), help="Lowest score of a box.")
@click.option("--detector-nms", type=click.FloatRange(0, 1), help="Highest IoU of two boxes of one category.")
@click.option("--batch-size", type=click.IntRange(1), help="Images at a time.")
@device_option
@root_option
def command(
    paths: tuple[str, ...],
    dataset: str | None,
    variant: str | None,
    checkpoint: Path | None,
    json_path: str | None,
    draw: Path | None,
    top_k: int,
    threshold: float,
    detector: str | None,
    detector_weights: str | None,
    detector_threshold: float | None,
    detector_nms: float | None,
    batch_size: int | None,
    device: str,
    root: Path,
) -> None:
    """Predict on every image that can be read; say which were skipped, and why."""
    files = _images(paths)
    pictures = _targets(files, json_path, draw)
    owned = checkpoint_owner(root, checkpoint) if checkpoint else None
    dataset = dataset or (owned[0] if owned else "toyworld")
    run = Run.parse(variant) if variant else owned[1] if owned else Run("ours")
    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset, run)
    evaluate, infer = params[EvaluateParams], params[InferParams]
    if evaluate.times_run:
        raise ParamError(f"{run.text} multiplies scores by those of {evaluate.times_run}; predict runs one model")
    shared = load_variants(layout.params)[run.variant].run
    folder = _given(root, checkpoint) if checkpoint else _trained(layout, Run(shared) if shared else run)
    state, config = load_checkpoint(folder)
    vocabulary = vocabulary_of(folder, config)
    model = model_from_config(config, state)
    own = _detector(params[DetectParams], detector, detector_weights, detector_threshold, detector_nms)
    loaded = load_detector(own, root=root)
    records: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    undrawn: ArtifactError | None = None
    with progress(len(files), "predict") as advance:

        def skip(path: Path, error: DataError) -> None:
            reason = printable(" ".join(str(error).split()))
            skipped.append({"path": as_utf8(path.as_posix()), "reason": reason})
            click.echo(f"Skipped: {reason}", err=True)
            advance()

        for batch in predict_images(
            files,
            model=model,
            detector=loaded,
            vocabulary=vocabulary,
            params=dataclasses.replace(infer, batch_size=batch_size or infer.batch_size),
            device=open_device(device),
            skipped=skip,
        ):
            detections, factors = fuse_factors(batch.dump, evaluate)
            for row, (path, image) in enumerate(zip(batch.paths, batch.images, strict=True)):
                best = best_of_image(detections, factors, vocabulary, row, top_k=top_k, threshold=threshold)
                name = as_utf8(path.as_posix())
                records.append(image_record(name, image.size, best))
                if pictures and not undrawn:
                    try:
                        pictures.save(path, draw_prediction(image, best))
                    except ArtifactError as error:  # e.g. a full disk: the predictions are still written
                        undrawn = error
                if not json_path:
                    click.echo(summary_line(name, best))
                advance()
    header = {
        "checkpoint": folder.as_posix(),
        "detector": f"{loaded.name} {loaded.digest}",
        "fusion": {"weights": evaluate.weights, "links": evaluate.links},
    }
    _write(json_path, header | {"images": records, "skipped": skipped})
    if undrawn:
        raise undrawn
    if skipped:
        click.echo(f"{len(skipped)} of {len(files)} images were skipped", err=True)
        raise SystemExit(SKIPPED)


def _images(paths: tuple[str, ...]) -> list[Path]:
    """The images that the call names, without pictures that an earlier one drew."""
    found = find_images(paths)
    drawn = [path for path in found if is_drawn(path)]
    if not drawn:
        return found
    left = f"{len(drawn)} pictures that predict drew, first {printable(drawn[0].as_posix())}"
    if len(drawn) == len(found):
        raise DataError(f"nothing to predict on but {left}; name the images themselves")
    click.echo(f"Left out: {left}", err=True)
    return [path for path in found if path not in set(drawn)]


def _targets(files: list[Path], json_path: str | None, draw: Path | None) -> PictureFolder | None:
    """Refuse, before the work, to write where something else lies; return the folder of pictures, if any."""
    pictures = PictureFolder(draw, files) if draw else None
    if json_path and json_path != "-":
        check_predictions_target(Path(json_path))
        if pictures and Path(json_path).absolute() in {file.absolute() for file in pictures.files.values()}:
            raise ParamError(f"--json {json_path}: a picture of --draw gets that name; choose another file")
    return pictures


def _given(root: Path, folder: Path) -> Path:
    """Check a checkpoint named in the call: one of the cache against its manifest, any other for links."""
    if owned := checkpoint_owner(root, folder):
        layout = Layout(root, owned[0])
        StageInputs(layout).take(layout.checkpoint(owned[1]), "train", owned[1])
    else:
        refuse_links(folder)
    return folder


def _trained(layout: Layout, run: Run) -> Path:
    """The run's own checkpoint; ArtifactError with the command that trains it, if there is none."""
    folder = layout.checkpoint(run)
    if not folder.exists():
        remedy = (
            f'put "datasets: [{layout.dataset}]" into params.yaml and run "dvc repro train@{layout.dataset}-{run.text}"'
        )
        remedy = 'run "make repro" once, which trains it' if layout.dataset == "toyworld" else remedy
        raise ArtifactError(f"{folder}: no trained model here yet; {remedy}, or name another with --checkpoint")
    return StageInputs(layout).take(folder, "train", run, alone=True)


def _detector(
    params: DetectParams, name: str | None, weights: str | None, threshold: float | None, nms: float | None
) -> DetectParams:
    """The dataset's detector with the options of the call; another detector gets its published weights."""
    if weights is None:
        weights = params.weights if name in (None, params.detector) else "DEFAULT"
    elif Path(weights).is_file():
        weights = str(Path(weights).absolute())
    return dataclasses.replace(
        params,
        detector=name or params.detector,
        weights=weights,
        score_threshold=params.score_threshold if threshold is None else threshold,
        nms_threshold=params.nms_threshold if nms is None else nms,
    )


def _write(json_path: str | None, document: dict[str, Any]) -> None:
    if json_path == "-":
        click.echo(predictions_text(document), nl=False)
    elif json_path:
        write_predictions(Path(json_path), document)


if __name__ == "__main__":
    command()
