"""`predict`: a trained model on a user's own images: detector and network in one pass, to JSON and drawn pictures.

Exit codes: 0 every image was predicted; 2 a user's mistake, or an output that cannot be written; 3 some were skipped.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from pipeline.core.errors import ArtifactError, DataError, ParamError, printable
from pipeline.data.image_files import as_utf8, find_images
from pipeline.prediction import THRESHOLD, TOP_K
from pipeline.prediction.picture import PictureFolder, is_drawn
from pipeline.prediction.predictor import Predictor
from pipeline.prediction.records import check_predictions_target, predictions_text, write_predictions
from stages._command import anywhere_root_option, device_option, progress, say, stage_command

SKIPPED = 3
_HELP = """Find who does what to which object on your own images: files, folders, or quoted glob patterns.

Exit code 0: every image was predicted; 2: a mistake in the call; 3: some images could not be read and were skipped.

Only what an earlier call wrote is written over; pictures that one drew are left out as images.

Without a trained model in cache/, the toyworld's comes from the package; it knows the toyworld's drawings alone.

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
    show_default="cache/DATASET/checkpoints/VARIANT, or else the package's",
    help="Folder of a trained model.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write the predictions as JSON; - is standard output.",
)
@click.option("--draw", type=click.Path(file_okay=False, path_type=Path), help="Folder for a picture of each image.")
@click.option(
    "--top-k", type=click.IntRange(1), default=TOP_K, show_default=True, help="Triplets of an image, at most."
)
@click.option(
    "--threshold", type=click.FloatRange(0, 1), default=THRESHOLD, show_default=True, help="Lowest score shown."
)
@click.option(
    "--detector",
    show_default="detect.detector of params.yaml",
    help="Another detector: small_fasterrcnn, or one of torchvision's by name.",
)
@click.option(
    "--detector-weights",
    "weights",
    show_default="detect.weights of params.yaml",
    help="A torchvision weights name, or a file; NAME.categories.json beside NAME.pt names its own categories.",
)
@click.option(
    "--detector-threshold",
    "score_threshold",
    type=click.FloatRange(0, 1),
    show_default="detect.score_threshold of params.yaml",
    help="Lowest score of a box.",
)
@click.option(
    "--detector-nms",
    "nms_threshold",
    type=click.FloatRange(0, 1),
    show_default="detect.nms_threshold of params.yaml",
    help="Highest IoU of two boxes of one category.",
)
@click.option(
    "--batch-size", type=click.IntRange(1), show_default="infer.batch_size of params.yaml", help="Images at a time."
)
@device_option
@anywhere_root_option
def command(
    paths: tuple[str, ...],
    dataset: str | None,
    variant: str | None,
    checkpoint: Path | None,
    json_path: str | None,
    draw: Path | None,
    top_k: int,
    threshold: float,
    batch_size: int | None,
    device: str,
    root: Path,
    **detector: str | float | None,
) -> None:
    """Predict on every image that can be read; say which were skipped, and why."""
    files = _images(paths)
    pictures = _targets(files, json_path, draw)
    changes = {key: value for key, value in detector.items() if value is not None}
    predictor = Predictor.open(
        root,
        dataset=dataset,
        variant=variant,
        checkpoint=checkpoint,
        batch_size=batch_size,
        detect=changes,
        device=device,
    )
    is_alone = json_path == "-"  # then nothing but the predictions is printed, and what was skipped
    if not is_alone:
        _say_model(predictor)
    records: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    drawn, undrawn = 0, None
    with progress(len(files), "predict") as advance:

        def skip(path: Any, error: DataError) -> None:
            reason = printable(" ".join(str(error).split()))
            skipped.append({"path": as_utf8(path.as_posix()), "reason": reason})
            tqdm.write(f"Skipped: {reason}", file=sys.stderr)
            advance()

        for found in predictor.predict(files, top_k=top_k, threshold=threshold, skipped=skip):
            records.append(found.to_json())
            if pictures and found.path and not undrawn:
                try:
                    pictures.save(found.path, found.draw())
                    drawn += 1
                except ArtifactError as error:  # e.g. a full disk: the predictions are still written
                    undrawn = error
            if not json_path:
                tqdm.write(found.line(), file=sys.stdout)
            advance()
    document = predictor.provenance() | {"images": records, "skipped": skipped}
    if is_alone:
        click.echo(predictions_text(document), nl=False)
    elif json_path:
        write_predictions(Path(json_path), document)
        say(f"Wrote {printable(json_path)}")
    if drawn and not is_alone:
        what = "1 picture" if drawn == 1 else f"{drawn} pictures"
        say(f"Wrote {what} to {printable(str(draw))}")
    if undrawn:
        raise undrawn
    if skipped:
        click.echo(f"{len(skipped)} of {len(files)} images were skipped", err=True)
        raise SystemExit(SKIPPED)


def _say_model(predictor: Predictor) -> None:
    """Say which model is used, and what it cannot do."""
    say(f"Model: {printable(predictor.origin)}")
    if predictor.dataset == "toyworld":
        say(
            "Note: the toyworld's model was trained on drawings and does not know photographs; for these train one of "
            "your own (docs/datasets.md), or name one with --checkpoint"
        )


def _images(paths: tuple[str, ...]) -> list[Path]:
    """The images that the call names, without pictures that an earlier one drew."""
    found = find_images(paths)
    drawn = [path for path in found if is_drawn(path)]
    if not drawn:
        return found
    left = f"{len(drawn)} pictures that predict drew, first {printable(drawn[0].as_posix())}"
    if len(drawn) == len(found):
        raise DataError(f"nothing to predict on but {left}; name the images themselves")
    say(f"Left out: {left}")
    return [path for path in found if path not in set(drawn)]


def _targets(files: list[Path], json_path: str | None, draw: Path | None) -> PictureFolder | None:
    """Refuse, before the work, to write where something else lies; return the folder of pictures, if any."""
    pictures = PictureFolder(draw, files) if draw else None
    if json_path and json_path != "-":
        check_predictions_target(Path(json_path))
        if pictures and Path(json_path).absolute() in {file.absolute() for file in pictures.files.values()}:
            raise ParamError(f"--json {json_path}: a picture of --draw gets that name; choose another file")
    return pictures


if __name__ == "__main__":
    command()
