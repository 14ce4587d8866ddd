"""Typed, frozen views of params.yaml: the only place where a parameter's name, type and range are known.

params.yaml holds one section per dataset, with one sub-section per stage, the named variants, and `execution`. A
variant overrides `model`, `train` and `evaluate` by key; under `train`, a key that is a dataset's name holds overrides
for it alone. Every number lives in params.yaml: the classes here carry no defaults. All faults are reported at once.
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


def bounded(low: float, high: float = float("inf")) -> Any:
    """Declare a dataclass field whose number, or each of its numbers, must lie in [low, high]."""
    return field(metadata={"low": low, "high": high})


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
    """`model`: the network of section 3.2, every part behind a switch."""

    clip: str | None  # another CLIP than `clip.weights`, for this row alone (RN101)
    backbone: Literal["clip", "random", "rn50_fpn_coco"]  # the last: backbone and box head of `detect.detector`
    bank: Literal["clip", "random", "roberta"]
    interaction: Literal["mlp", "ppr_fcn", "prompts", "clip"]  # s_p: the method's, PPR-FCN's, Abl 4's, Abl 1's
    hoi_recognition: bool  # global branch and L_g
    freeze_bank: bool  # Exp 2
    detach_bank: bool  # no gradient from the local branch into the bank
    ktn: Literal["none", "softmax", "sigmoid", "uniform", "union"]  # eq. (1); App. E
    relatedness: bool  # s_b and L_b
    global_score: Literal["cosine", "inner_product"]
    calibrate_global_bias: bool  # start s_g so that its mean probability is the label rate
    normalize_rois: bool  # L2-normalise v_h, v_o, v_u
    unit_variance: bool  # scale v_h, v_o, v_meta by sqrt(D) before F_E and F_K
    clip_regularization: bool  # L_reg of Abl 4
    image_size: int = bounded(32)  # pixels; images are resized to a square of this side
    last_stride: int = bounded(16, 32)  # stride of the last stage
    roi_size: int = bounded(1)  # RoIAlign bins per side
    sampling_ratio: int = bounded(1)  # RoIAlign samples per bin and side
    spatial_hidden: int = bounded(1)
    pair_hidden: int = bounded(1)
    spatial_epsilon: float = bounded(0)
    dropout: float = bounded(0, 1)
    verb_bias: float = bounded(-20, 20)
    relatedness_bias: float = bounded(-20, 20)


@dataclass(frozen=True)
class TrainParams:
    """`train`: section 3.3 and 4.2."""

    precision: Literal["float32", "bfloat16"]
    shuffle_labels: bool  # control: image-level labels permuted among the images
    freeze_batch_norm: bool
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
    global_weight: float = bounded(0)  # of L_g
    pair_weight: float = bounded(0)  # of L_p
    relatedness_weight: float = bounded(0)  # of L_b
    regularization_weight: float = bounded(0)  # of L_reg (App. B)
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
    pair_score: Literal["softmax", "sigmoid"]  # sigmoid(max) * softmax over pairs, or plain sigmoid
    score_fusion: bool  # multiply by sigmoid(s_g)
    relatedness: bool  # multiply by sigmoid(s_b)
    times_run: str | None  # multiply by the pair scores of this run too (Abl 3: CLIP's own)
    gamma: float = bounded(0)


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
        others = {key for key, value in document.items() if isinstance(value, Mapping)} - {dataset, *_NO_DATASET}
        section = _override(section, variants[variant], dataset, variant, others, faults)
    absent = set(_SECTIONS) - set(section) if document.get(RERUN_MARK) else set()
    section = _override_by_hand(section, overrides, absent, faults)
    params = _build(DatasetParams, {**section, **dict.fromkeys(absent, _ABSENT)}, dataset, faults)
    if faults:
        raise ParamError(f"{path.name}: " + "; ".join(faults))
    return typing.cast(DatasetParams, params)


def _override_by_hand(
    section: Mapping[str, Any], overrides: list[str], absent: set[str], faults: list[str]
) -> dict[str, Any]:
    """Apply overrides written as "train.learning_rate=0.001", the tail of a variant's name.

    A section that a file of `rerun` leaves `absent` has none; the others are as recorded, with the overrides in them.
    """
    merged = {name: dict(stage) if isinstance(stage, Mapping) else stage for name, stage in section.items()}
    for override in overrides:
        name, _, value = override.partition("=")
        stage, _, key = name.partition(".")
        known = [f"{stage}.{key}" for stage in _OVERRIDDEN for key in _mapping(merged.get(stage))]
        if stage in absent:
            continue
        if name not in known:
            faults.append(f'override "+{override}": unknown key{did_you_mean(name, known)}; expected +stage.key=value')
            continue
        try:
            merged[stage][key] = yaml.safe_load(value)
        except yaml.YAMLError:
            faults.append(f'override "+{override}": "{value}" is not a YAML value; expected +stage.key=value')
    return merged


def is_rerun(path: Path) -> bool:
    """Whether `weakhoi rerun` wrote this params file, and checked and linked all inputs of one stage beside it."""
    return path.is_file() and RERUN_MARK in _read_yaml(path)


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


def _override(
    section: Mapping[str, Any], variant: Variant, dataset: str, name: str, others: set[str], faults: list[str]
) -> dict[str, Any]:
    """Merge a variant into a dataset's section; keys that are in neither it nor `others` are faults."""
    merged = dict(section)
    for stage in _OVERRIDDEN:
        base = section.get(stage)
        if not isinstance(base, Mapping):
            continue  # a fault that building the section reports
        changes, where = getattr(variant, stage), f"variants.{name}.{stage}"
        own = _mapping(changes.get(dataset))
        general = {
            key: value
            for key, value in changes.items()
            if not (isinstance(value, Mapping) and key in {dataset, *others})
        }
        for key, place in [(key, where) for key in general] + [(key, f"{where}.{dataset}") for key in own]:
            if key not in base:
                faults.append(f'unknown key "{place}.{key}"{did_you_mean(key, [*base, dataset, *sorted(others)])}')
        changed = {**base, **general, **own}
        merged[stage] = {key: changed[key] for key in base}
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
    faults.extend(f'missing key "{where}.{name}"' for name in names if name not in data)
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
                f"{where} is {value!r}{did_you_mean(str(value), choices)}; expected one of {', '.join(choices)}"
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
