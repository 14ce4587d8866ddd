"""Every path of the project, relative to a root folder. No other file builds these paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.run import Run
from pipeline.core.errors import ParamError
from pipeline.core.names import name_fault


@dataclass(frozen=True)
class Layout:
    """Paths of one dataset under `root`.

    Raises:
        ParamError: `dataset` is no name of a dataset.
    """

    root: Path
    dataset: str

    def __post_init__(self) -> None:
        if fault := name_fault(self.dataset):
            raise ParamError(f"dataset {self.dataset!r}: expected {fault}")

    @property
    def params(self) -> Path:
        """params.yaml."""
        return self.root / "params.yaml"

    @property
    def _cache(self) -> Path:
        return self.root / "cache" / self.dataset

    @property
    def _manifests(self) -> Path:
        return self.root / "manifests" / self.dataset

    @property
    def _results(self) -> Path:
        return self.root / "results" / self.dataset

    @property
    def drawn_images(self) -> Path:
        """Folder of the images that `prepare` draws (toyworld)."""
        return self._cache / "images"

    @property
    def drawn_captions(self) -> Path:
        """Captions of the drawn training images, CSV, where `prepare` is asked for them (toyworld)."""
        return self.drawn_images / "captions.csv"

    @property
    def vocabulary(self) -> Path:
        """Vocabulary of the dataset, JSON."""
        return self._manifests / "vocabulary.json"

    def split(self, split: str) -> Path:
        """Dataset manifest of a split: images and image-level labels, JSON, no boxes."""
        return self._manifests / f"{split}.json"

    def split_columns(self, split: str) -> Path:
        """Images and image-level labels of a split that is too large for its manifest, HDF5."""
        return self.drawn_images / f"{split}.h5"

    def ground_truth(self, split: str) -> Path:
        """Annotated pairs of an evaluation split, JSON."""
        return self._cache / "ground_truth" / f"{split}.json"

    def people(self, split: str) -> Path:
        """Annotated people of an evaluation split, JSON: what the V-COCO protocol scores against."""
        return self._cache / "ground_truth" / f"{split}_people.json"

    @property
    def stage_manifests(self) -> Path:
        """Folder of the manifests of all runs of stages."""
        return self._manifests / "runs"

    def stage_manifest(self, stage: str, of: Run | str | None = None) -> Path:
        """Manifest of one run of a stage; `of`: its run or split, None where the stage runs once for a dataset."""
        folder, name = _folder_and_name(self._name_of(stage, of))
        return self.stage_manifests / folder / f"{'-'.join(filter(None, (stage, name)))}.json"

    @staticmethod
    def _name_of(stage: str, of: Run | str | None) -> str:
        if not isinstance(of, Run):
            return of or ""
        if stage == "train":
            return of.name
        return of.scored_name if stage == "evaluate" or of.annotated_boxes else f"{of.name}-{of.split}"

    def proposals(self, split: str) -> Path:
        """Proposals of a split, HDF5."""
        return self._cache / "proposals" / f"{split}.h5"

    def imported_proposals(self, split: str) -> Path:
        """Proposals made from a peer's detections, HDF5: what `detect.source` may name."""
        return self._cache / "imported" / f"{split}.h5"

    def annotated_proposals(self, split: str) -> Path:
        """Annotated boxes of an evaluation split as proposals, HDF5: what `--boxes annotated` is inferred on."""
        return self._cache / "annotated_proposals" / f"{split}.h5"

    def pair_labels(self, split: str) -> Path:
        """Labels of a split's proposed pairs from annotated boxes, HDF5."""
        return self._cache / "pair_labels" / f"{split}.h5"

    def image_labels(self, source: str) -> Path:
        """Labels of the training images that nobody annotated, HDF5: of "captions" or "clip"."""
        return self._cache / "image_labels" / f"{source}.h5"

    @property
    def knowledge_bank(self) -> Path:
        """Knowledge bank of the dataset's own CLIP, HDF5."""
        return self._cache / "knowledge_bank.h5"

    def checkpoint(self, run: Run) -> Path:
        """Folder of a trained model: model.safetensors and config.json."""
        folder, name = _folder_and_name(run.name)
        return self._cache / folder / "checkpoints" / name

    def features(self, run: Run) -> Path:
        """Features of a split's images by the frozen encoder of a row, zarr."""
        folder, name = _folder_and_name(run.name)
        return self._cache / folder / "features" / name / f"{run.split}.zarr"

    def predictions(self, run: Run) -> Path:
        """Dump of raw logits, zarr."""
        return self._scored(run, "predictions", "zarr")

    def detections(self, run: Run) -> Path:
        """Scored triplets with the annotations that they match, zarr."""
        return self._scored(run, "detections", "zarr")

    def representations(self, run: Run) -> Path:
        """Pair representations and knowledge bank of a trained model, HDF5."""
        return self._scored(run, "representations", "h5")

    def _scored(self, run: Run, kind: str, suffix: str) -> Path:
        folder, name = _folder_and_name(run.scored_name)
        return self._cache / folder / kind / f"{name}.{suffix}"

    def training_log(self, run: Run) -> Path:
        """Losses by iteration, CSV."""
        return self._result(run.name, "training", "csv")

    def tensorboard(self, run: Run) -> Path:
        """Folder of a run's curves for TensorBoard."""
        return self._cache / "tensorboard" / run.name

    def metrics(self, run: Run) -> Path:
        """Metrics of a run, JSON, percent."""
        return self._result(run.scored_name, "", "json")

    def headline(self, run: Run) -> Path:
        """The few of a run's metrics that people compare, JSON, percent: what DVC's tables show."""
        return self._result(run.scored_name, "headline", "json")

    def per_class(self, run: Run) -> Path:
        """Per-class AP, CSV."""
        return self._result(run.scored_name, "per_class", "csv")

    def precision_recall(self, run: Run) -> Path:
        """Mean precision-recall curves, CSV."""
        return self._result(run.scored_name, "curves", "csv")

    @property
    def studies(self) -> Path:
        """Folder of `study`."""
        return self._results / "study"

    def study(self, run: Run) -> Path:
        """Test metrics of every row that is scored from one seeded run, JSON, percent."""
        return self.studies / f"{run.name.rpartition('/')[2]}.json"

    @property
    def tuning(self) -> Path:
        """Folder of the metrics of runs with overrides."""
        return self._results / "tuning"

    def ablations(self, suffix: str) -> Path:
        """The study's tables, Markdown or CSV: the report shows the latter where it exists."""
        return self._results / f"ablations.{suffix}"

    @property
    def costs(self) -> Path:
        """What training and inference of each method cost."""
        return self._results / "costs.csv"

    def sweep(self, factor: str) -> Path:
        """The mAP as a function of a factor's weight, over seeded runs, CSV."""
        return self._results / f"sweep-{factor}.csv"

    def weight_sweeps(self, run: Run) -> Path:
        """Folder of the mAP of a run as a function of each factor's weight, FACTOR.csv."""
        folder, name = _folder_and_name(run.scored_name)
        return self._results / folder / "weights" / name

    def _result(self, name: str, kind: str, suffix: str) -> Path:
        folder, name = _folder_and_name(name)
        return self._results / folder / kind / f"{name}.{suffix}"

    @property
    def report(self) -> Path:
        """Folder of the report: index.html and its pictures."""
        return self._results / "report"

    @property
    def examples(self) -> Path:
        """A few example images in a row, JPEG: the picture of the README."""
        return self._results / "examples.jpg"

    @property
    def figures(self) -> Path:
        """Folder of further figures, PNG or SVG: the report shows them where there are any."""
        return self._results / "figures"

    def tsne(self, what: str) -> Path:
        """A t-SNE picture, PNG: "pairs" (Fig. 4) or "bank" (Fig. 5)."""
        return self.figures / f"tsne_{what}.png"

    @property
    def boxes_plot(self) -> Path:
        """The mAP against the share of training images with boxes, over seeds, PNG."""
        return self.figures / "boxes.png"

    def proposal_recall(self, split: str) -> Path:
        """How many annotated boxes and pairs of a split are among its proposals, JSON, percent."""
        return self._results / "proposal_recall" / f"{split}.json"

    def label_quality(self, source: str) -> Path:
        """How well labels of a source agree with the annotated ones, JSON."""
        return self._results / "labels" / f"{source}.json"

    @property
    def separation(self) -> Path:
        """How well HOI classes separate in what the t-SNE pictures show, JSON."""
        return self._results / "separation.json"

    def lock(self, stage: str, of: Run | str | None = None) -> Path:
        """File that a run of a stage locks while it writes; `of` as in `stage_manifest`."""
        return self.root / "cache" / "locks" / f"{self.dataset}-{self._flat_name(stage, of)}.lock"

    def work(self, stage: str, of: Run | str | None = None) -> Path:
        """Folder of finished work of a stage that is not done; never an artifact. `of` as in `stage_manifest`."""
        return self._cache / "work" / self._flat_name(stage, of)

    def finished(self, stage: str, of: Run | str | None = None) -> Path:
        """Record of what the outputs of a finished run were made from, JSON; never an artifact."""
        return self._cache / "finished" / f"{self._flat_name(stage, of)}.json"

    def _flat_name(self, stage: str, of: Run | str | None) -> str:
        return "-".join(filter(None, (stage, self._name_of(stage, of)))).replace("/", "-")


def _folder_and_name(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition("/")
    return folder, last
