"""Typed, frozen views of params.yaml: the only place where a parameter's name, type and range are known.

params.yaml holds one section per dataset, with one sub-section per stage, the named variants, and `execution`. A
variant overrides `model`, `train` and `evaluate` by key. All faults are reported at once.
The file is read by the rules of YAML 1.2, with the parser that DVC reads it with.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pipeline.core.errors import ParamError, did_you_mean
from pipeline.core.names import MAX_SEED, Split, check_variant, name_fault
from pipeline.core.outputs import Link
from pipeline.core.param_types import (
    BatchSize,
    Fraction,
    KnownKeys,
    MaxProposals,
    PartSize,
    Real,
    Seed,
    Switch,
    Template,
    Text,
    VariantName,
    Weight,
    Whole,
    placeholders,
    within,
)
from pipeline.core.params_file import NOT_YAML, build_section, parse_yaml, read_params_file

Settings = TypeVar("Settings")
# Top-level key of a params file that `weakhoi rerun` writes from a manifest: it holds only the sections of one stage.
RERUN_MARK = "rerun_of"
_NO_DATASET = ("variants", "execution")  # sections that are no dataset's


@dataclass(frozen=True)
class PrepareParams(KnownKeys):
    """`prepare`: where the annotations and images come from. Paths are relative to the repository root."""

    reader: Text  # a file of pipeline/truth/datasets, or the dotted name of a module of yours
    source: Annotated[Text, placeholders()] | None  # folder of the dataset, here or anywhere; null: toyworld, drawn
    num_images: dict[Split, Annotated[Whole, within(1, 1_000_000)]] | None  # toyworld: images per split; else null
    exponents: dict[Split, Annotated[Real, within(-10, 10)]] | None  # toyworld: power of the class frequencies
    image_size: Annotated[Whole, within(32, 4096)] | None  # toyworld: pixels
    val_fraction: Annotated[Real, within(0, 0.5)] | None  # of train, held out as val; null: the dataset's own val
    seed: Seed


@dataclass(frozen=True)
class ClipParams(KnownKeys):
    """`clip`: the CLIP model that both the backbone and the knowledge bank start from."""

    weights: Text  # "RN50", "RN101", or a path to .pt / .safetensors
    download_root: Text | None


@dataclass(frozen=True)
class DetectParams(KnownKeys):
    """`detect`: the off-the-shelf detector and what is kept of its output."""

    detector: Text  # torchvision builder's name, e.g. "fasterrcnn_resnet50_fpn_v2"
    weights: Text  # torchvision weights name ("COCO_V1"), or a path
    trained_on: Text  # recorded in the manifest; V-COCO's leakage rule is checked against it
    source: Annotated[Text, placeholders("split")] | None  # a proposals file to take instead of detecting
    score_threshold: Fraction
    nms_threshold: Fraction
    max_per_image: Annotated[Whole, within(1, 1000)]
    batch_size: BatchSize
    part_size: PartSize  # images per resumable part


@dataclass(frozen=True)
class PromptParams(KnownKeys):
    """`encode_prompts`: the sentence of an HOI class; {verb} is its -ing form, {article} is a/an."""

    template: Template
    instrument_template: Template  # V-COCO's role `instr` (App. G)
    text_encoder: Text  # of bank `roberta`: "words" (a stand-in, no download), or a name or path for transformers
    verb_forms: dict[Text, Text] = field(default_factory=dict)  # what {verb} becomes in place of its -ing form


@dataclass(frozen=True)
class ModelParams(KnownKeys):
    """`model`: which method on which backbone, and their own settings in sub-sections that are named after them."""

    method: Text  # a file or folder of pipeline/methods, or the dotted name of a module of yours
    backbone: Text  # a file of pipeline/backbones, or the dotted name of a module of yours
    clip: Text | None  # another CLIP than `clip.weights`, for this row alone (RN101)
    bank: Literal["clip", "random", "roberta"]
    settings: dict[str, dict[str, Any]]  # of methods and backbones, by name; in params.yaml directly under `model`
    image_size: Annotated[Whole, within(32, 4096)]  # pixels; images are resized to a square of this side

    def used(self) -> ModelParams:
        """The section without the settings of other methods and backbones: what a run's manifest records.

        CLIP's own encoder may be a teacher beside any backbone.
        """
        names = {name.rpartition(".")[2] for name in (self.method, self.backbone, "clip_resnet")}
        kept = {name: value for name, value in self.settings.items() if name in names}
        return dataclasses.replace(self, settings=kept)

    def settings_of(self, name: str, kind: type[Settings], faults: list[str]) -> Settings | None:
        """Build the settings of the method or backbone `name`; on faults append to the list and return None."""
        own = name.rpartition(".")[2]
        return build_section(kind, self.settings.get(own, {}), f"model.{own}", faults)


@dataclass(frozen=True)
class TrainParams(KnownKeys):
    """`train`: section 3.3 and 4.2."""

    precision: Literal["float32", "bfloat16"]
    shuffle_labels: Switch  # control: image-level labels permuted among the images
    freeze_batch_norm: Switch
    decay_at: tuple[Fraction, ...]  # fractions of all iterations (paper: 12K and 24K of 60K)
    decay_factor: Fraction
    epochs: Annotated[Whole, within(0, 100_000)]  # 0 keeps the weights that training would start from (Abl 1)
    batch_size: BatchSize  # images, over all ranks
    max_proposals: MaxProposals  # proposals per image that are paired in training, best scores first
    backbone_learning_rate: Annotated[Real, within(0, 10)]
    learning_rate: Annotated[Real, within(0, 10)]  # all other parameters
    warmup_iterations: Annotated[Whole, within(0, 1_000_000_000)]
    weight_decay: Annotated[Real, within(0, 10)]
    gradient_clip: Annotated[Real, within(1e-6, 1e6)]
    top_k: Annotated[Whole, within(1, 10_000)]  # positives per verb in the pseudo labels (App. F)
    loss_weights: dict[Text, Weight]  # of the method's loss terms; 1 for a term that is not named
    flip_probability: Fraction
    checkpoint_every: Annotated[Whole, within(1, 1_000_000_000)]  # iterations
    num_workers: Annotated[Whole, within(0, 256)]
    seed: Seed


@dataclass(frozen=True)
class InferParams(KnownKeys):
    """`infer`: how many images at a time."""

    batch_size: BatchSize
    part_size: PartSize
    max_proposals: MaxProposals


@dataclass(frozen=True)
class EvaluateParams(KnownKeys):
    """`evaluate`: eq. (3) and the protocol; changing these re-runs seconds of numpy."""

    protocol: Literal["hicodet", "vcoco"]  # vcoco: role and agent AP beside the mAP over HOI classes
    setting: Literal["default", "known_object", "explanation_hoi"]
    links: dict[Text, Link]  # from logits to a factor, in place of what the method declares
    times_run: VariantName | None  # a further factor "times": the sigmoid of this run's pair scores (Abl 3: CLIP's own)
    weights: dict[Text, Annotated[Real, within(0, 100)]]  # exponent of each factor; 1 if not named, 0 leaves it out


@dataclass(frozen=True)
class ReportParams(KnownKeys):
    """`report`: what the pictures show."""

    num_images: Annotated[Whole, within(1, 10_000)]  # of the contact sheets
    pairs_per_image: Annotated[Whole, within(1, 10_000)]
    gallery_images: Annotated[Whole, within(1, 10_000)]  # of the page, embedded


@dataclass(frozen=True)
class RepresentParams(KnownKeys):
    """`represent`: which pairs' representations are kept, and how exactly."""

    dtype: Literal["float16", "float32"]  # on disk
    pairs_per_image: Annotated[Whole, within(1, 10_000)]  # kept, best products of detector scores first


@dataclass(frozen=True)
class TsneParams(KnownKeys):
    """`tsne`: the sample that App. A and D draw, and what is measured on it."""

    num_classes: Annotated[Whole, within(2, 10_000)]  # HOI classes drawn, at random where there are more
    samples_per_class: Annotated[Whole, within(2, 10_000)]  # pairs per HOI class, at random where there are more
    neighbours: Annotated[Whole, within(1, 10_000)]  # of a pair, whose classes are counted
    perplexity: Annotated[Real, within(1, 10_000)]
    seed: Seed


@dataclass(frozen=True)
class ExecutionParams(KnownKeys):
    """`execution`: how the work is done, for all datasets. Results are the same up to the order of float sums, so no
    manifest records it and no DVC stage depends on it."""

    scheduler: Text | None  # detect, infer, evaluate: address of a running dask.distributed scheduler; null: in-process
    channels_last: Switch  # train and infer on CUDA: memory format of images and convolutions
    compile: Switch  # train on CUDA: torch.compile the backbone's trunk
    gradient_checkpointing: Switch  # train: recompute the backbone's stages in the backward pass, for larger batches
    decode_threads: Annotated[Whole, within(1, 256)]  # detect, infer, represent: to decode while the network computes


IN_PROCESS = ExecutionParams(
    scheduler=None, channels_last=True, compile=False, gradient_checkpointing=False, decode_threads=2
)


@dataclass(frozen=True)
class DatasetParams:
    """All sections of one dataset."""

    prepare: PrepareParams
    clip: ClipParams
    detect: DetectParams
    encode_prompts: PromptParams
    model: ModelParams
    train: TrainParams
    infer: InferParams
    evaluate: EvaluateParams
    report: ReportParams
    represent: RepresentParams
    tsne: TsneParams


@dataclass(frozen=True)
class Variant(KnownKeys):
    """A named row: overrides of three sections. Rows that differ in `evaluate` alone share the training run of one."""

    desc: str
    run: VariantName | None  # the row whose trained runs this one is scored from; null: its own
    model: dict[str, Any]
    train: dict[str, Any]
    evaluate: dict[str, Any]


_SECTIONS = tuple(item.name for item in dataclasses.fields(DatasetParams))
_OVERRIDDEN = ("model", "train", "evaluate")


def digest_of(params: Any) -> str:
    """Return the sha256 of a params dataclass or plain value in canonical JSON."""
    plain = dataclasses.asdict(params) if dataclasses.is_dataclass(params) and not isinstance(params, type) else params
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load_params(path: Path, dataset: str, variant: str | None = None) -> DatasetParams:
    """Read and check params.yaml for one dataset, with a variant's overrides applied.

    A variant's name may carry overrides of its own: "ours+train.learning_rate=0.001".

    Raises:
        ParamError: all faults of the file in one message: unknown keys, wrong types, numbers out of range.
    """
    if variant is not None:
        check_variant(variant)
    document = read_params_file(path)
    faults: list[str] = []
    variants = _variants(document, faults)
    datasets = [key for key, value in document.items() if isinstance(value, Mapping) and key not in _NO_DATASET]
    faults += [f"{name!r} is a section's name; expected {fault}" for name in datasets if (fault := name_fault(name))]
    if dataset not in datasets:
        known = [str(name) for name in datasets]
        faults.append(f'no dataset "{dataset}"{did_you_mean(dataset, known)}; it has {", ".join(known)}')
        raise _refused(path, faults)
    name, *overrides = variant.split("+") if variant is not None else (None,)
    section = document[dataset]
    if name is not None:
        if name not in variants:  # it may be among the damaged ones, whose faults say more
            faults = faults or [f'no variant "{name}"{did_you_mean(name, variants)}; it has {", ".join(variants)}']
            raise _refused(path, faults)
        section = _override(section, variants[name], name, faults)
    is_rerun = RERUN_MARK in document
    section = _override_by_hand(section, overrides, {*_SECTIONS} - {*section} if is_rerun else set(), faults)
    params = _build_dataset(_with_settings(section), dataset, is_rerun, faults)
    if faults or params is None:
        raise _refused(path, faults)
    return params


def _refused(path: Path, faults: list[str]) -> ParamError:
    return ParamError(f"{path.name}: " + "; ".join(faults))


def _override_by_hand(
    section: Mapping[str, Any], overrides: list[str], absent: set[str], faults: list[str]
) -> dict[str, Any]:
    """Apply overrides written as "train.learning_rate=0.001", the tail of a variant's name.

    A section that a file of `rerun` leaves `absent` has none; the others are as recorded, with the overrides in them.
    """
    merged = dict(section)
    for override in overrides:
        name, _, text = override.partition("=")
        stage, *keys = name.split(".")
        known = [f"{stage}.{key}" for stage in _OVERRIDDEN for key in _mapping(merged.get(stage))]
        if stage in absent:
            continue
        # A dataset may leave all settings of a method to their defaults, and still one of them may be overridden.
        settings = stage == "model" and len(keys) > 1 and bool(_mapping(merged.get(stage)))
        if not settings and f"{stage}.{keys[0] if keys else ''}" not in known:
            faults.append(f'override "+{override}": unknown key{did_you_mean(name, known)}; expected +stage.key=value')
            continue
        try:
            value = parse_yaml(text)
        except NOT_YAML:
            faults.append(f'override "+{override}": "{text}" is not a YAML value; expected +stage.key=value')
            continue
        for key in reversed(keys):
            value = {key: value}
        merged[stage] = _merged(merged[stage], value)
    return merged


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes over a section; where both hold a section under a key, these are merged too."""
    both = {
        key: _merged(base[key], value)
        for key, value in changes.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
    }
    return {**base, **changes, **both}


def _with_settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the sub-sections of `model`, which are named after methods and backbones, under `settings`.

    Manifests, and so the files of `rerun`, hold them under that key already.
    """
    model = section.get("model")
    if not isinstance(model, Mapping):
        return dict(section)
    own = {key: value for key, value in model.items() if isinstance(value, Mapping) and key != "settings"}
    plain = {key: value for key, value in model.items() if key not in own}
    return {**section, "model": {**plain, "settings": {**model.get("settings", {}), **own}}}


def is_rerun_file(path: Path) -> bool:
    """Whether `weakhoi rerun` wrote this params file, and checked and linked all inputs of one stage beside it."""
    return path.is_file() and RERUN_MARK in read_params_file(path)


def load_variants(path: Path) -> dict[str, Variant]:
    """Return every named variant of params.yaml.

    Raises:
        ParamError: as `load_params`.
    """
    faults: list[str] = []
    variants = _variants(read_params_file(path), faults)
    if faults:
        raise _refused(path, faults)
    return variants


def load_execution(path: Path) -> ExecutionParams:
    """Return the `execution` section; a file that `weakhoi rerun` wrote has none, and runs in-process.

    Raises:
        ParamError: as `load_params`.
    """
    document = read_params_file(path)
    if document.get(RERUN_MARK) and "execution" not in document:
        return IN_PROCESS
    faults: list[str] = []
    execution = build_section(ExecutionParams, document.get("execution"), "execution", faults)
    if execution is None:
        raise _refused(path, faults)
    return execution


def load_run_variants(path: Path) -> tuple[str, ...]:
    """Return the names under `run_variants`: what `dvc repro` trains, evaluates and reports, in that order.

    Raises:
        ParamError: not a list of names, a name twice, or one that `variants` does not have.
    """
    return _variant_names(path, "run_variants")


def load_figure_variants(path: Path) -> tuple[str, ...]:
    """Return the names under `figure_variants`: what `make figures` compares, in the order in which it is drawn.

    Raises:
        ParamError: as `load_run_variants`.
    """
    return _variant_names(path, "figure_variants")


def load_figure_seeds(path: Path) -> tuple[int, ...]:
    """Return the run seeds under `figure_seeds`: the first is drawn, all are measured.

    Raises:
        ParamError: not a list of whole numbers, or one twice.
    """
    seeds = read_params_file(path).get("figure_seeds")
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise ParamError(f"{path.name}: figure_seeds is {seeds!r}; expected a list of whole numbers, e.g. [0, 1, 2]")
    if not 0 <= min(seeds) <= max(seeds) <= MAX_SEED:
        raise ParamError(f"{path.name}: figure_seeds is {seeds!r}; expected seeds from 0 to {MAX_SEED}")
    if len(set(seeds)) != len(seeds):
        raise ParamError(f"{path.name}: figure_seeds is {seeds!r}; expected each seed once")
    return tuple(seeds)


def _variant_names(path: Path, key: str) -> tuple[str, ...]:
    names, variants = read_params_file(path).get(key), load_variants(path)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ParamError(f"{path.name}: {key} is {names!r}; expected a list of names of variants")
    faults = [
        f'no variant "{name}"{did_you_mean(name, variants)}; it has {", ".join(variants)}'
        for name in names
        if name not in variants
    ]
    faults += [f'"{name}" stands twice' for name in dict.fromkeys(names) if names.count(name) > 1]
    if faults:
        raise ParamError(f"{path.name}: {key}: " + "; ".join(faults))
    return tuple(names)


def _variants(document: Mapping[str, Any], faults: list[str]) -> dict[str, Variant]:
    rows = document.get("variants", {})
    if not isinstance(rows, Mapping):
        faults.append(f"variants: expected a section, found {type(rows).__name__}")
        return {}
    faults += [f"{name!r} is a variant's name; expected {fault}" for name in rows if (fault := name_fault(name))]
    built = {
        str(name): build_section(
            Variant, {"run": None, **row} if isinstance(row, Mapping) else row, f"variants.{name}", faults
        )
        for name, row in rows.items()
    }
    variants = {name: row for name, row in built.items() if row is not None}
    for name, row in variants.items():
        if row.run is not None:
            faults.extend(_unshared(name, row, variants))
    return variants


def _unshared(name: str, row: Variant, variants: Mapping[str, Variant]) -> list[str]:
    """Faults of a row that is scored from another row's runs: both must be trained the same way."""
    other = variants.get(typing.cast(str, row.run))
    if other is None:
        return [f'variants.{name}.run: no variant "{row.run}"{did_you_mean(str(row.run), variants)}']
    if other.run is not None:
        return [f'variants.{name}.run: "{row.run}" is itself scored from the runs of "{other.run}"; name that one']
    return [
        f"variants.{name}.{section}: {getattr(row, section)} differs from that of {row.run}, whose runs score it"
        for section in ("model", "train")
        if getattr(row, section) != getattr(other, section)
    ]


def _override(section: Mapping[str, Any], variant: Variant, name: str, faults: list[str]) -> dict[str, Any]:
    """Merge a variant into a dataset's section; a key that the section lacks is a fault."""
    merged = dict(section)
    for stage in _OVERRIDDEN:
        base, changes = section.get(stage), getattr(variant, stage)
        if not isinstance(base, Mapping):
            continue  # a fault that building the section reports
        faults.extend(
            f'unknown key "variants.{name}.{stage}.{key}"{did_you_mean(str(key), base)}'
            for key, value in changes.items()
            if key not in base and not (stage == "model" and isinstance(value, Mapping))
        )
        merged[stage] = _merged(base, changes)
    return merged


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _build_dataset(section: Mapping[str, Any], dataset: str, is_rerun: bool, faults: list[str]) -> DatasetParams | None:
    """Build all sections of a dataset; in a file of `weakhoi rerun`, those that it leaves out are never read."""
    kinds = typing.get_type_hints(DatasetParams)
    faults += [
        f'unknown key "{dataset}.{key}"{did_you_mean(str(key), _SECTIONS)}' for key in section if key not in _SECTIONS
    ]
    built = {
        name: build_section(kind, section.get(name), f"{dataset}.{name}", faults)
        for name, kind in kinds.items()
        if name in section or not is_rerun
    }
    return None if faults else DatasetParams(**typing.cast(Any, dict.fromkeys(kinds) | built))
