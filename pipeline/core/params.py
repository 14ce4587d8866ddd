"""Typed, frozen views of params.yaml: the only place where a parameter's name, type and range are known.

params.yaml holds one section per dataset, with one sub-section per stage, the named variants, and `execution`. A
variant overrides `model`, `train` and `evaluate` by key. All faults are reported at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml

from pipeline.core.errors import ParamError, did_you_mean

Section = TypeVar("Section")
# Top-level key of a params file that `weakhoi rerun` writes from a manifest: it holds only the sections of one stage.
RERUN_MARK = "rerun_of"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, ten times as fast, where libyaml is at hand
_NO_DATASET = ("variants", "execution")  # sections that are no dataset's
_ABSENT = object()  # a section that such a file leaves out; it is never read


def bounded(low: float, high: float = float("inf"), default: Any = dataclasses.MISSING) -> Any:
    """Declare a dataclass field whose number, or each of its numbers, must lie in [low, high]."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class PrepareParams:
    """`prepare`: where the annotations and images come from. Paths are relative to the repository root."""

    reader: Literal["toyworld", "hicodet", "vcoco", "folder"]
    source: str | None  # folder of the downloaded or own dataset, here or anywhere; null for toyworld, which is drawn
    num_images: dict[str, int] | None  # toyworld: images per split; else null
    exponents: dict[str, float] | None  # toyworld: power of the class frequencies per split
    image_size: int | None  # toyworld: pixels
    val_fraction: float | None = bounded(0, 0.5)  # of the training images, held out as val; null: the dataset's own val
    seed: int = bounded(0)


@dataclass(frozen=True)
class ClipParams:
    """`clip`: the CLIP model that both the backbone and the knowledge bank start from."""

    weights: str  # "RN50", "RN101", or a path to .pt / .safetensors
    download_root: str | None


@dataclass(frozen=True)
class DetectParams:
    """`detect`: the off-the-shelf detector and what is kept of its output."""

    detector: str  # torchvision builder's name, e.g. "fasterrcnn_resnet50_fpn_v2"
    weights: str  # torchvision weights name ("COCO_V1"), or a path
    trained_on: str  # recorded in the manifest; V-COCO's leakage rule is checked against it
    source: str | None  # a proposals file to take instead of detecting
    score_threshold: float = bounded(0, 1)
    nms_threshold: float = bounded(0, 1)
    max_per_image: int = bounded(1)
    batch_size: int = bounded(1)
    part_size: int = bounded(1)  # images per resumable part


@dataclass(frozen=True)
class PromptParams:
    """`encode_prompts`: the sentence of an HOI class; {verb} is its -ing form, {article} is a/an."""

    template: str
    instrument_template: str  # V-COCO's role `instr` (App. G)
    text_encoder: str  # of bank `roberta`: "words" (a stand-in, no download), or a name or path for transformers


@dataclass(frozen=True)
class ModelParams:
    """`model`: which method on which backbone, and their own settings in sub-sections that are named after them."""

    method: str  # a file or folder of pipeline/methods, or the dotted name of a module of yours
    backbone: str  # a file of pipeline/backbones, or the dotted name of a module of yours
    clip: str | None  # another CLIP than `clip.weights`, for this row alone (RN101)
    bank: Literal["clip", "random", "roberta"]
    settings: dict[str, Any]  # of methods and backbones, by name; in params.yaml directly under `model`
    image_size: int = bounded(32)  # pixels; images are resized to a square of this side

    def settings_of(self, name: str, kind: type[Section], faults: list[str]) -> Section | None:
        """Build the settings of the method or backbone `name`; on faults append to the list and return None."""
        return _build(kind, self.settings.get(name.rpartition(".")[2], {}), f"model.{name}", faults)


@dataclass(frozen=True)
class TrainParams:
    """`train`: section 3.3 and 4.2."""

    precision: Literal["float32", "bfloat16"]
    shuffle_labels: bool  # control: image-level labels permuted among the images
    freeze_batch_norm: bool
    loss_weights: dict[str, float]  # of the method's loss terms; 1 for a term that is not named
    decay_at: tuple[float, ...] = bounded(0, 1)  # fractions of all iterations (paper: 12K and 24K of 60K)
    decay_factor: float = bounded(0, 1)
    epochs: int = bounded(0)  # 0 keeps the weights that training would start from (Abl 1)
    batch_size: int = bounded(1)  # images, over all ranks
    max_proposals: int = bounded(2)  # proposals per image that are paired in training, best scores first
    backbone_learning_rate: float = bounded(0)
    learning_rate: float = bounded(0)  # all other parameters
    warmup_iterations: int = bounded(0)
    weight_decay: float = bounded(0)
    gradient_clip: float = bounded(0)
    top_k: int = bounded(1)  # positives per verb in the pseudo labels (App. F)
    flip_probability: float = bounded(0, 1)
    checkpoint_every: int = bounded(1)  # iterations
    num_workers: int = bounded(0)
    seed: int = bounded(0)


@dataclass(frozen=True)
class InferParams:
    """`infer`: how many images at a time."""

    batch_size: int = bounded(1)
    part_size: int = bounded(1)
    max_proposals: int = bounded(2)


@dataclass(frozen=True)
class EvaluateParams:
    """`evaluate`: eq. (3) and the protocol; changing these re-runs seconds of numpy."""

    protocol: Literal["hicodet", "vcoco"]  # vcoco: role and agent AP beside the mAP over HOI classes
    setting: Literal["default", "known_object", "explanation_hoi"]
    links: dict[str, Literal["sigmoid", "softmax"]]  # from logits to a factor, in place of what the method declares
    times_run: str | None  # a further factor "times": the sigmoid of this run's pair scores (Abl 3: CLIP's own)
    weights: dict[str, float] = bounded(0, 100)  # exponent of each factor; 1 for one that is not named, 0: left out  # noqa: RUF009


@dataclass(frozen=True)
class ReportParams:
    """`report`: what the pictures show."""

    num_images: int = bounded(1)  # of the contact sheets
    pairs_per_image: int = bounded(1)
    gallery_images: int = bounded(1)  # of the page, embedded


@dataclass(frozen=True)
class RepresentParams:
    """`represent`: which pairs' representations are kept, and how exactly."""

    dtype: Literal["float16", "float32"]  # on disk
    pairs_per_image: int = bounded(1)  # kept, best products of detector scores first


@dataclass(frozen=True)
class TsneParams:
    """`tsne`: the sample that App. A and D draw, and what is measured on it."""

    num_classes: int = bounded(2)  # HOI classes drawn, at random where there are more
    samples_per_class: int = bounded(2)  # pairs per HOI class, at random where there are more
    neighbours: int = bounded(1)  # of a pair, whose classes are counted
    perplexity: float = bounded(1)
    seed: int = bounded(0)


@dataclass(frozen=True)
class ExecutionParams:
    """`execution`: how the work is done, for all datasets. Results are the same up to the order of float sums, so no
    manifest records it and no DVC stage depends on it."""

    scheduler: str | None  # detect, infer, evaluate: address of a running dask.distributed scheduler; null: in-process
    channels_last: bool  # train and infer on CUDA: memory format of images and convolutions
    compile: bool  # train on CUDA: torch.compile the backbone's trunk
    gradient_checkpointing: bool  # train: recompute the backbone's stages in the backward pass, for larger batches
    decode_threads: int = bounded(1)  # detect, infer, represent: images decoded while the network computes


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
class Variant:
    """A named row: overrides of three sections. Rows that differ in `evaluate` alone share the training run of one."""

    desc: str
    run: str | None  # the row whose trained runs this one is scored from; null: its own
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
    document = _read_yaml(path)
    faults: list[str] = []
    variants = _variants(document, faults)
    variant, *overrides = (variant or "").split("+")
    section = document.get(dataset)
    if not isinstance(section, Mapping) or dataset in _NO_DATASET:
        known = [key for key, value in document.items() if isinstance(value, Mapping) and key not in _NO_DATASET]
        raise ParamError(
            f'{path.name}: no dataset "{dataset}"{did_you_mean(dataset, known)}; it has {", ".join(known)}'
        )
    if variant:
        if variant not in variants:
            if faults:  # of the variants: it may be among the damaged ones
                raise ParamError(f"{path.name}: " + "; ".join(faults))
            raise ParamError(
                f'{path.name}: no variant "{variant}"{did_you_mean(variant, variants)}; it has {", ".join(variants)}'
            )
        section = _override(section, variants[variant], variant, faults)
    section = _with_settings(_override_by_hand(section, overrides, faults))
    absent = set(_SECTIONS) - set(section) if document.get(RERUN_MARK) else set()
    params = _build(DatasetParams, {**section, **dict.fromkeys(absent, _ABSENT)}, dataset, faults)
    if faults:
        raise ParamError(f"{path.name}: " + "; ".join(faults))
    return typing.cast(DatasetParams, params)


def _override_by_hand(section: Mapping[str, Any], overrides: list[str], faults: list[str]) -> dict[str, Any]:
    """Apply overrides written as "train.learning_rate=0.001", the tail of a variant's name."""
    merged = dict(section)
    for override in overrides:
        name, _, text = override.partition("=")
        stage, *keys = name.split(".")
        known = [f"{stage}.{key}" for stage in _OVERRIDDEN for key in _mapping(merged.get(stage))]
        settings = stage == "model" and len(keys) > 1  # a dataset that leaves all of them out may still override one
        if stage not in _OVERRIDDEN or not keys or not (settings or f"{stage}.{keys[0]}" in known):
            faults.append(f'override "+{override}": unknown key{did_you_mean(name, known)}; expected +stage.key=value')
            continue
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            faults.append(f'override "+{override}": "{text}" is not a YAML value; expected +stage.key=value')
            continue
        for key in reversed(keys):
            value = {key: value}
        merged[stage] = _merged(merged[stage], value)
    return merged


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes over a section; where both hold a section under a key, these are merged too."""
    both = {key: _merged(base[key], value) for key, value in changes.items() if _are_sections(base.get(key), value)}
    return {**base, **changes, **both}


def _are_sections(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _with_settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the sub-sections of `model`, which are named after methods and backbones, under `settings`."""
    model = section.get("model")
    if not isinstance(model, Mapping):
        return dict(section)
    settings = {key: value for key, value in model.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in model.items() if key not in settings}
    return {**section, "model": {**plain, "settings": settings}}


def load_variants(path: Path) -> dict[str, Variant]:
    """Return every named variant of params.yaml.

    Raises:
        ParamError: as `load_params`.
    """
    faults: list[str] = []
    variants = _variants(_read_yaml(path), faults)
    if faults:
        raise ParamError(f"{path.name}: " + "; ".join(faults))
    return variants


def load_execution(path: Path) -> ExecutionParams:
    """Return the `execution` section; a file that `weakhoi rerun` wrote has none, and runs in-process.

    Raises:
        ParamError: as `load_params`.
    """
    document = _read_yaml(path)
    if document.get(RERUN_MARK) and "execution" not in document:
        return IN_PROCESS
    faults: list[str] = []
    execution = _build(ExecutionParams, document.get("execution"), "execution", faults)
    if faults:
        raise ParamError(f"{path.name}: " + "; ".join(faults))
    return typing.cast(ExecutionParams, execution)


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
    seeds = _read_yaml(path).get("figure_seeds")
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ParamError(f"{path.name}: figure_seeds is {seeds!r}; expected a list of whole numbers, e.g. [0, 1, 2]")
    if len(set(seeds)) != len(seeds):
        raise ParamError(f"{path.name}: figure_seeds is {seeds!r}; expected each seed once")
    return tuple(seeds)


def _variant_names(path: Path, key: str) -> tuple[str, ...]:
    names, variants = _read_yaml(path).get(key), load_variants(path)
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


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(), Loader=_LOADER)
    except FileNotFoundError:
        raise ParamError(f"{path} does not exist; run from the repository root or give --params") from None
    except yaml.YAMLError as error:
        raise ParamError(f"{path.name}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ParamError(f"{path.name}: expected a mapping of sections, found {type(document).__name__}")
    return document


def _variants(document: Mapping[str, Any], faults: list[str]) -> dict[str, Variant]:
    rows = document.get("variants", {})
    if not isinstance(rows, Mapping):
        faults.append(f"variants: expected a section, found {type(rows).__name__}")
        return {}
    built = {
        name: _build(Variant, {"run": None, **row} if isinstance(row, Mapping) else row, f"variants.{name}", faults)
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
            f'unknown key "variants.{name}.{stage}.{key}"{did_you_mean(key, base)}'
            for key, value in changes.items()
            if key not in base and not (stage == "model" and isinstance(value, Mapping))
        )
        merged[stage] = _merged(base, changes)
    return merged


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _build(kind: type[Section], data: Any, where: str, faults: list[str]) -> Section | None:
    """Build one section; on faults append to the list and return None."""
    if not isinstance(data, Mapping):
        faults.append(f"{where}: expected a section, found {type(data).__name__}")
        return None
    hints = typing.get_type_hints(kind)
    names = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    before = len(faults)
    faults.extend(f'unknown key "{where}.{key}"{did_you_mean(str(key), names)}' for key in data if key not in names)
    required = [item.name for item in dataclasses.fields(kind) if item.default is dataclasses.MISSING]  # type: ignore[arg-type]
    faults.extend(f'missing key "{where}.{name}"' for name in required if name not in data)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        if item.name in data:
            hint, here = hints[item.name], f"{where}.{item.name}"
            if data[item.name] is _ABSENT:
                values[item.name] = None
            elif dataclasses.is_dataclass(hint):
                values[item.name] = _build(typing.cast(Any, hint), data[item.name], here, faults)
            else:
                values[item.name] = _value(data[item.name], hint, here, item.metadata, faults)
    return kind(**values) if len(faults) == before else None


def _value(value: Any, hint: Any, where: str, limits: Mapping[str, float], faults: list[str]) -> Any:
    origin, choices = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in choices:
            return None
        return _value(value, next(choice for choice in choices if choice is not type(None)), where, limits, faults)
    if origin is Literal:
        if value not in choices:
            faults.append(
                f"{where} is {value!r}{did_you_mean(str(value), map(str, choices))}; "
                f"expected one of {', '.join(map(str, choices))}"
            )
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_value(entry, choices[0], where, limits, faults) for entry in value)
    if origin is dict and isinstance(value, Mapping):
        entries = {key: _value(entry, choices[1], f"{where}.{key}", limits, faults) for key, entry in value.items()}
        return entries
    expected = origin or hint
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        hint_text = "; YAML reads 1e-4 as text, write 1.0e-4" if expected is float and isinstance(value, str) else ""
        faults.append(f"{where} is {value!r} ({type(value).__name__}); expected {expected.__name__}{hint_text}")
    elif limits and not limits["low"] <= value <= limits["high"]:
        faults.append(f"{where} is {value}; expected {limits['low']} to {limits['high']}")
    return value
