"""Every path of the project, relative to a root folder. No other file joins paths by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.names import check_dataset, check_variant


def run_name(variant: str, seed: int | None = None) -> str:
    """Name of one training run: the variant itself, "seeds/<variant>-<seed>", or "tuning/<variant>+<overrides>".

    A name with a folder keeps all files of its kind in a sub-folder of that name, so that studies never mix with the
    pipeline's own artifacts.

    Raises:
        ParamError: `variant` is no name of a variant.
    """
    check_variant(variant)
    if seed is not None:
        return f"seeds/{variant}-{seed}"
    return f"tuning/{variant}" if "+" in variant else variant


def checkpoint_owner(root: Path, folder: Path) -> tuple[str, str, str] | None:
    """Return (dataset, variant, run name) of a checkpoint folder in the cache of `root`, None elsewhere.

    The inverse of `Layout.checkpoint` of a `run_name`.
    """
    cache, path = (root / "cache").resolve(), folder.resolve()
    parts = path.relative_to(cache).parts if path.is_relative_to(cache) else ()
    if len(parts) < 3 or parts[-2] != "checkpoints":
        return None
    name, folders = parts[-1], parts[1:-2]
    return parts[0], name.rpartition("-")[0] if "seeds" in folders else name, "/".join((*folders, name))


@dataclass(frozen=True)
class Layout:
    """Paths of one dataset under `root`; `run` is a `run_name`.

    Raises:
        ParamError: `dataset` is no name of a dataset.
    """

    root: Path
    dataset: str

    def __post_init__(self) -> None:
        check_dataset(self.dataset)

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
    def vocabulary(self) -> Path:
        """Vocabulary of the dataset, JSON."""
        return self._manifests / "vocabulary.json"

    def split(self, split: str) -> Path:
        """Dataset manifest of a split: images and image-level labels, JSON, no boxes."""
        return self._manifests / f"{split}.json"

    def ground_truth(self, split: str) -> Path:
        """Annotated pairs of an evaluation split, JSON."""
        return self._cache / "ground_truth" / f"{split}.json"

    def people(self, split: str) -> Path:
        """Annotated people of an evaluation split, JSON: what the V-COCO protocol scores against."""
        return self._cache / "ground_truth" / f"{split}_people.json"

    def stage_manifest(self, stage: str, *names: str) -> Path:
        """Manifest of one run of a stage; a name may be a `run_name`."""
        folder, name = _folder_and_name("-".join(names))
        return self._manifests / "runs" / folder / f"{'-'.join(filter(None, (stage, name)))}.json"

    def proposals(self, split: str) -> Path:
        """Proposals of a split, HDF5."""
        return self._cache / "proposals" / f"{split}.h5"

    def imported_proposals(self, split: str) -> Path:
        """Proposals made from a peer's detections, HDF5: what `detect.source` may name."""
        return self._cache / "imported" / f"{split}.h5"

    @property
    def knowledge_bank(self) -> Path:
        """Knowledge bank of the dataset's own CLIP, HDF5."""
        return self._cache / "knowledge_bank.h5"

    def bank(self, source: str | None) -> Path:
        """Knowledge bank of another text encoder, HDF5; None is the dataset's own CLIP."""
        return self.knowledge_bank if source is None else self._cache / "banks" / f"{Path(source).stem}.h5"

    def checkpoint(self, run: str) -> Path:
        """Folder of a trained model: model.safetensors and config.json."""
        folder, name = _folder_and_name(run)
        return self._cache / folder / "checkpoints" / name

    def predictions(self, run: str, split: str = "test") -> Path:
        """Dump of raw logits, zarr."""
        folder, name = _folder_and_name(self.scored_run(run, split))
        return self._cache / folder / "predictions" / f"{name}.zarr"

    def representations(self, run: str, split: str = "test") -> Path:
        """Pair representations and knowledge bank of a trained model, HDF5."""
        folder, name = _folder_and_name(self.scored_run(run, split))
        return self._cache / folder / "representations" / f"{name}.h5"

    def training_log(self, run: str) -> Path:
        """Losses by iteration, CSV."""
        return self._result(run, "training", "csv")

    def metrics(self, run: str) -> Path:
        """Metrics of a run, JSON, percent."""
        return self._result(run, "", "json")

    def per_class(self, run: str) -> Path:
        """Per-class AP, CSV."""
        return self._result(run, "per_class", "csv")

    def precision_recall(self, run: str) -> Path:
        """Mean precision-recall curves, CSV."""
        return self._result(run, "curves", "csv")

    def study(self, run: str, seed: int) -> Path:
        """Test metrics of every row that is scored from one seeded run, JSON, percent."""
        return self._results / "study" / f"{run}-{seed}.json"

    def ablations(self, suffix: str) -> Path:
        """The study's tables, Markdown or CSV: the report shows the latter where it exists."""
        return self._results / f"ablations.{suffix}"

    @property
    def fusion_weight(self) -> Path:
        """The mAP as a function of the weight of s_g, over seeded runs, CSV."""
        return self._results / "fusion_weight.csv"

    def weight_sweeps(self, run: str) -> Path:
        """Folder of the mAP as a function of each factor's weight, FACTOR.csv."""
        return self._result(run, "weights", "csv").with_suffix("")

    def _result(self, run: str, kind: str, suffix: str) -> Path:
        folder, name = _folder_and_name(run)
        return self._results / folder / kind / f"{name}.{suffix}"

    @staticmethod
    def scored_run(run: str, split: str) -> str:
        """Name of a run's predictions and metrics: on other splits than test they lie in a folder of their own."""
        folder, name = _folder_and_name(run)
        return run if split == "test" else f"{folder or split}/{name}-{split}"

    @property
    def report(self) -> Path:
        """Folder of the report: index.html and its pictures."""
        return self._results / "report"

    @property
    def examples(self) -> Path:
        """Small sheet of example images, JPEG: the picture of the README."""
        return self._results / "examples.jpg"

    @property
    def figures(self) -> Path:
        """Folder of further figures, PNG or SVG: the report shows them where there are any."""
        return self._results / "figures"

    def tsne(self, what: str) -> Path:
        """A t-SNE picture, PNG: "pairs" (Fig. 4) or "bank" (Fig. 5)."""
        return self.figures / f"tsne_{what}.png"

    @property
    def separation(self) -> Path:
        """How well HOI classes separate in what the t-SNE pictures show, JSON."""
        return self._results / "separation.json"

    def lock(self, stage: str, *names: str) -> Path:
        """File that a stage locks while it writes the outputs that `names` tell apart."""
        name = "-".join((self.dataset, stage, *names)).replace("/", "-")
        return self.root / "cache" / "locks" / f"{name}.lock"

    def work(self, *names: str) -> Path:
        """Scratch folder of a resumable stage; never an artifact."""
        return self._cache / "work" / "-".join(names).replace("/", "-")


def _folder_and_name(run: str) -> tuple[str, str]:
    folder, _, name = run.rpartition("/")
    return folder, name
