"""A trained model with its detector and its score fusion: image files in, named triplets out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from pipeline.config.layout import Layout
from pipeline.config.params import load_params, load_variants
from pipeline.config.run import Run, checkpoint_owner
from pipeline.core.errors import ArtifactError, DataError, ParamError
from pipeline.core.vocabulary import Vocabulary
from pipeline.detection.detectors import Detector, load_detector
from pipeline.detection.params import DetectParams
from pipeline.evaluation.fusion import fuse_factors
from pipeline.evaluation.params import EvaluateParams
from pipeline.inference.params import InferParams
from pipeline.inference.predict import predict_images
from pipeline.methods.model import HoiModel, model_from_config
from pipeline.prediction.records import NamedDetection, best_of_image
from pipeline.store.checkpoint import load_checkpoint, vocabulary_of
from pipeline.store.files import refuse_links
from pipeline.store.inputs import StageInputs


@dataclass(frozen=True)
class Prediction:
    """The best triplets of one image, by falling score; `image` is upright RGB, and boxes are in its pixels."""

    path: Path
    image: Image.Image
    detections: list[NamedDetection]


@dataclass(frozen=True)
class Predictor:
    """What predicts: `checkpoint` is the folder that `model` and `vocabulary` come from."""

    checkpoint: Path
    model: HoiModel
    vocabulary: Vocabulary
    detector: Detector
    infer: InferParams
    evaluate: EvaluateParams

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        dataset: str | None = None,
        variant: str | None = None,
        checkpoint: Path | None = None,
        batch_size: int | None = None,
        detect: Mapping[str, Any] | None = None,
    ) -> Predictor:
        """Load a run's checkpoint, and the detector of its dataset.

        Args:
            root: holds params.yaml and cache/.
            dataset: section of params.yaml; None: that of the checkpoint's folder, or toyworld.
            variant: row of params.yaml; None: that of the checkpoint's folder, or ours.
            checkpoint: folder; None: the run's own.
            batch_size: images at a time; None: the params'.
            detect: changes to the section `detect`; a detector without `weights` comes with its published ones.

        Raises:
            ParamError: the row multiplies its scores by those of another run.
            ArtifactError: no checkpoint, a damaged one, or one with links out of it.
        """
        owned = checkpoint_owner(root, checkpoint) if checkpoint else None
        dataset = dataset or (owned[0] if owned else "toyworld")
        run = Run.parse(variant) if variant else owned[1] if owned else Run("ours")
        layout = Layout(root, dataset)
        params = load_params(layout.params, dataset, run)
        evaluate, infer = params[EvaluateParams], params[InferParams]
        if evaluate.times_run:
            raise ParamError(f"{run.text} multiplies scores by those of {evaluate.times_run}; predict runs one model")
        folder = _given(root, checkpoint) if checkpoint else _trained(layout, run)
        state, config = load_checkpoint(folder)
        return cls(
            checkpoint=folder,
            model=model_from_config(config, state),
            vocabulary=vocabulary_of(folder, config),
            detector=load_detector(_changed(params[DetectParams], detect or {}), root=root),
            infer=replace(infer, batch_size=batch_size or infer.batch_size),
            evaluate=evaluate,
        )

    def provenance(self) -> dict[str, Any]:
        """Where predictions come from, as JSON values."""
        return {
            "checkpoint": self.checkpoint.as_posix(),
            "detector": f"{self.detector.name} {self.detector.digest}",
            "fusion": {"weights": self.evaluate.weights, "links": self.evaluate.links},
        }

    def predict(
        self,
        paths: Sequence[Path],
        *,
        top_k: int,
        threshold: float,
        device: torch.device,
        skipped: Callable[[Path, DataError], None],
    ) -> Iterator[Prediction]:
        """Yield the best triplets of each image that can be read, in the order of `paths`.

        Args:
            top_k: triplets of an image, at most.
            threshold: lowest score.
            skipped: is told of each image that cannot be read.
        """
        for batch in predict_images(
            paths,
            model=self.model,
            detector=self.detector,
            vocabulary=self.vocabulary,
            params=self.infer,
            device=device,
            skipped=skipped,
        ):
            detections, factors = fuse_factors(batch.dump, self.evaluate)
            for row, (path, image) in enumerate(zip(batch.paths, batch.images, strict=True)):
                found = best_of_image(detections, factors, self.vocabulary, row, top_k=top_k, threshold=threshold)
                yield Prediction(path, image, found)


def _given(root: Path, folder: Path) -> Path:
    """A checkpoint named by its folder: one of the cache as its manifest records it, any other without links."""
    if owned := checkpoint_owner(root, folder):
        layout = Layout(root, owned[0])
        StageInputs(layout).take(layout.checkpoint(owned[1]), "train", owned[1])
    else:
        refuse_links(folder)
    return folder


def _trained(layout: Layout, run: Run) -> Path:
    """The run's own checkpoint, that of the row whose run it shares, or one line that says how to get it."""
    shared = load_variants(layout.params)[run.variant].run
    run = Run(shared) if shared else run
    folder = layout.checkpoint(run)
    if not folder.exists():
        remedy = (
            f'put "datasets: [{layout.dataset}]" into params.yaml and run "dvc repro train@{layout.dataset}-{run.text}"'
        )
        remedy = 'run "make repro" once, which trains it' if layout.dataset == "toyworld" else remedy
        raise ArtifactError(f"{folder}: no trained model here yet; {remedy}, or name another with --checkpoint")
    return StageInputs(layout).take(folder, "train", run, alone=True)


def _changed(params: DetectParams, changes: Mapping[str, Any]) -> DetectParams:
    """The dataset's detector with changes; weights may be a file, from the current folder."""
    weights = changes.get("weights")
    if weights is None:
        weights = params.weights if changes.get("detector", params.detector) == params.detector else "DEFAULT"
    elif Path(weights).is_file():
        weights = str(Path(weights).absolute())
    return replace(params, **{**changes, "weights": weights})
