"""A trained model with its detector and its score fusion: image files in, named triplets out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.config.file import read_params_file
from pipeline.config.layout import Layout
from pipeline.config.params import load_params, load_variants
from pipeline.config.run import Run, checkpoint_owner
from pipeline.core.device import open_device
from pipeline.core.errors import ArtifactError, DataError, ParamError, did_you_mean
from pipeline.core.vocabulary import Vocabulary
from pipeline.detection.detectors import Detector, load_detector
from pipeline.detection.params import DetectParams
from pipeline.detection.proposals import category_map
from pipeline.evaluation.fusion import fuse_factors
from pipeline.evaluation.params import EvaluateParams
from pipeline.inference.params import InferParams
from pipeline.inference.predict import PredictedBatch, Source, predict_images
from pipeline.methods.model import HoiModel, model_from_config
from pipeline.prediction import THRESHOLD, TOP_K
from pipeline.prediction.records import best_of_image
from pipeline.prediction.result import Prediction
from pipeline.prediction.shipped import PACKAGE_ROOT, ShippedModel, find_shipped, shipped_names
from pipeline.prediction.sources import sources_of
from pipeline.store.checkpoint import load_checkpoint, vocabulary_of
from pipeline.store.files import refuse_links
from pipeline.store.inputs import StageInputs


@dataclass(frozen=True)
class Predictor:
    """What predicts on `device`.

    Attributes:
        dataset: section of params.yaml that the settings are of.
        origin: where `model` and `vocabulary` come from: a checkpoint's folder, or the name of a shipped model.
    """

    dataset: str
    origin: str
    model: HoiModel
    vocabulary: Vocabulary
    detector: Detector
    infer: InferParams
    evaluate: EvaluateParams
    device: torch.device

    @classmethod
    def named(
        cls, model: str | os.PathLike[str], root: Path, *, dataset: str | None, variant: str | None, **options: Any
    ) -> Predictor:
        """Load a checkpoint by its folder, or a run by its name DATASET/VARIANT.

        Args:
            dataset, variant, options: as of `open`; the first two for a folder alone.

        Raises:
            ParamError, ArtifactError: there is neither, or as `open`.
        """
        if (Path(model) / "config.json").is_file():
            return cls.open(root, checkpoint=Path(model), dataset=dataset, variant=variant, **options)
        names = ", ".join(shipped_names())
        of_dataset, slash, of_variant = str(model).partition("/")
        if not slash or "/" in of_variant:
            near = did_you_mean(str(model), shipped_names())
            raise ParamError(
                f'no model "{model}"{near}; expected the folder of a checkpoint, with config.json and '
                f"model.safetensors, or DATASET/VARIANT, such as {names}"
            )
        if dataset or variant:
            raise ParamError(f'"{model}" names dataset and variant; leave them out, or give the folder of a checkpoint')
        return cls.open(root, dataset=of_dataset, variant=of_variant, **options)

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
        device: str = "auto",
    ) -> Predictor:
        """Load a run's checkpoint, and the detector of its dataset.

        A checkpoint in the cache comes first; without one, a model that comes with the package. Settings are those of
        params.yaml in `root`; where there is none, those that the shipped model was made with.

        Args:
            root: holds params.yaml and cache/, or neither.
            dataset: section of params.yaml; None: that of the checkpoint's folder, or toyworld.
            variant: row of params.yaml; None: that of the checkpoint's folder, or ours.
            checkpoint: folder; None: the run's own.
            batch_size: images at a time; None: the params'.
            detect: changes to the section `detect`; a detector without `weights` comes with its published ones.
            device: auto, cpu, cuda or cuda:N.

        Raises:
            ParamError: no such dataset, variant or device; or the row multiplies its scores by those of another run.
            ArtifactError: no checkpoint, a damaged one, or one with links out of it.
            DataError: the detector does not know the vocabulary's categories.
        """
        owned = checkpoint_owner(root, checkpoint) if checkpoint else None
        dataset = dataset or (owned[0] if owned else "toyworld")
        run = Run.parse(variant) if variant else owned[1] if owned else Run("ours")
        layout = Layout(root, dataset)
        shipped = None if _is_ours(layout.params) else _shipped(layout, run)
        params = shipped.params if shipped else load_params(layout.params, dataset, run)
        evaluate, infer = params[EvaluateParams], params[InferParams]
        if evaluate.times_run:
            raise ParamError(f"{run.text} multiplies scores by those of {evaluate.times_run}; predict runs one model")
        found = _given(root, checkpoint) if checkpoint else shipped or _trained(layout, run)
        origin, model, vocabulary = _opened(found)
        settings = _changed(params[DetectParams], detect or {})
        detector = load_detector(settings, root=PACKAGE_ROOT if shipped else root)
        category_map(detector.categories, vocabulary)  # refused here, before the first image
        return cls(
            dataset=dataset,
            origin=origin,
            model=model,
            vocabulary=vocabulary,
            detector=detector,
            infer=replace(infer, batch_size=batch_size or infer.batch_size),
            evaluate=evaluate,
            device=open_device(device),
        )

    def provenance(self) -> dict[str, Any]:
        """Where predictions come from, as JSON values."""
        return {
            "checkpoint": self.origin,
            "detector": f"{self.detector.name} {self.detector.digest}",
            "fusion": {"weights": self.evaluate.weights, "links": self.evaluate.links},
        }

    def __call__(
        self, images: Any, *, top_k: int = TOP_K, threshold: float = THRESHOLD
    ) -> Prediction | list[Prediction]:
        """Return what was found in one image, or in each of a list, in its order.

        Args:
            images: as of `sources_of`.
            top_k, threshold: as of `predict`.

        Raises:
            DataError: one cannot be read, or is something else.
            ParamError: top_k below 1, or a threshold outside 0..1.
        """
        if not isinstance(top_k, int) or top_k < 1:
            raise ParamError(f"top_k is {top_k!r}; expected a whole number from 1")
        if not 0 <= threshold <= 1:
            raise ParamError(f"threshold is {threshold!r}; expected a score in 0..1")
        found = list(self.predict(sources_of(images), top_k=top_k, threshold=threshold, skipped=_refuse))
        return found if isinstance(images, list | tuple) else found[0]

    def predict(
        self,
        sources: Sequence[Source],
        *,
        top_k: int,
        threshold: float,
        skipped: Callable[[Source, DataError], None],
    ) -> Iterator[Prediction]:
        """Yield the best triplets of each image that can be read, in the order of `sources`.

        Args:
            top_k: triplets of an image, at most.
            threshold: lowest score.
            skipped: is told of each image that cannot be read.
        """
        for batch in predict_images(
            sources,
            model=self.model,
            detector=self.detector,
            vocabulary=self.vocabulary,
            params=self.infer,
            device=self.device,
            skipped=skipped,
        ):
            yield from self._predictions(batch, top_k, threshold)

    def _predictions(self, batch: PredictedBatch, top_k: int, threshold: float) -> Iterator[Prediction]:
        detections, factors = fuse_factors(batch.dump, self.evaluate)
        people = np.cumsum(batch.dump.object_ids == self.vocabulary.human_object_id)
        num_people = np.diff(np.append(0, people)[batch.dump.proposal_offsets])
        for row, (source, image) in enumerate(zip(batch.sources, batch.images, strict=True)):
            found = best_of_image(detections, factors, self.vocabulary, row, top_k=top_k, threshold=threshold)
            best = found or best_of_image(detections, factors, self.vocabulary, row, top_k=1, threshold=0)
            yield Prediction(
                path=source if isinstance(source, Path) else None,
                image=image,
                triplets=found,
                num_people=int(num_people[row]),
                best=best[0] if best else None,
            )


def _refuse(source: Source, error: DataError) -> None:
    raise error


def _is_ours(params: Path) -> bool:
    """Whether a file is a params.yaml of this project: others have files of that name too."""
    return params.exists() and "variants" in read_params_file(params)


def _shipped(layout: Layout, run: Run) -> ShippedModel:
    """The model of the package, where there is no params.yaml that could name another."""
    if (found := find_shipped(layout.dataset, run)) is not None:
        return found
    name, names = f"{layout.dataset}/{run.text}", shipped_names()
    lack = "has no variants" if layout.params.exists() else "does not exist"
    raise ParamError(
        f'{layout.params} {lack}, and "{name}" does not come with weakhoi{did_you_mean(name, names)}; '
        f"expected {', '.join(names)}; for any other, run from the repository root or give --root"
    )


def _given(root: Path, folder: Path) -> Path:
    """A checkpoint named by its folder: one of the cache as its manifest records it, any other without links."""
    if owned := checkpoint_owner(root, folder):
        layout = Layout(root, owned[0])
        StageInputs(layout).take(layout.checkpoint(owned[1]), "train", owned[1])
    else:
        refuse_links(folder)
    return folder


def _trained(layout: Layout, run: Run) -> Path | ShippedModel:
    """The run's own checkpoint, that of the row whose run it shares, or a shipped one of either.

    Raises:
        ArtifactError: there is none; says how to get it.
    """
    shared = load_variants(layout.params)[run.variant].run
    run = Run(shared) if shared else run
    folder = layout.checkpoint(run)
    if folder.exists():
        return StageInputs(layout).take(folder, "train", run, alone=True)
    if shipped := find_shipped(layout.dataset, run):
        return shipped
    remedy = (
        f'put "datasets: [{layout.dataset}]" into params.yaml and run "dvc repro train@{layout.dataset}-{run.text}"'
    )
    if layout.dataset == "toyworld":
        remedy = (
            f'run "make repro" once, then "weakhoi train --dataset toyworld {run.options}" if it trains another row'
        )
    raise ArtifactError(f"{folder}: no trained model here yet; {remedy}, or name another with --checkpoint")


def _opened(found: Path | ShippedModel) -> tuple[str, HoiModel, Vocabulary]:
    """Origin, model and vocabulary of a checkpoint's folder, or of a model of the package."""
    if isinstance(found, Path):
        origin, folder = found.as_posix(), found
        state, config = load_checkpoint(found)
    else:
        origin, folder = f"{found.name}, shipped with weakhoi", found.folder
        state, config = found.load()
    return origin, model_from_config(config, state), vocabulary_of(folder, config)


def _changed(params: DetectParams, changes: Mapping[str, Any]) -> DetectParams:
    """The dataset's detector with changes; weights may be a file, from the current folder."""
    weights = changes.get("weights")
    if weights is None:
        weights = params.weights if changes.get("detector", params.detector) == params.detector else "DEFAULT"
    elif Path(weights).is_file():
        weights = str(Path(weights).absolute())
    return replace(params, **{**changes, "weights": weights})
