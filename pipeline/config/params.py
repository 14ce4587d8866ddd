"""params.yaml, checked: sections of one dataset with a variant's overrides, the variants, and `execution`.

params.yaml holds one section per dataset, with one sub-section per stage. A variant overrides `model`, `train` and
`evaluate` by key. What a key means stands beside its class, in the room that reads it (`config/sections.py`). All
faults are reported at once. The file is YAML 1.2, read with DVC's own parser.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pipeline.config.file import NOT_YAML, build_section, parse_yaml, read_params_file
from pipeline.config.run import Run
from pipeline.config.sections import OVERRIDDEN, SECTIONS, section_class, section_name
from pipeline.config.types import KnownKeys, Switch, Text, VariantName, Whole, within
from pipeline.core.errors import ParamError, did_you_mean
from pipeline.core.names import MAX_SEED, name_fault

Section = TypeVar("Section")
# Top-level key of a params file that `weakhoi rerun` writes from a manifest: it holds only the sections of one stage.
RERUN_MARK = "rerun_of"
# Lists of what `dvc repro` trains, by what training reads: proposals, images alone, boxes of pairs, stored features,
# CLIP's labels.
RUN_VARIANTS = (
    *("run_variants", "run_image_variants", "run_boxes_variants"),
    *("run_feature_variants", "run_clip_variants"),
)
_NO_DATASET = ("variants", "execution")  # sections that are no dataset's


@dataclass(frozen=True)
class ExecutionParams(KnownKeys):
    """`execution`: affects speed and memory, and results only up to the order of float sums.

    So no manifest records it and no DVC stage depends on it.
    """

    scheduler: Text | None = (
        None  # detect, encode_images, infer, evaluate: address of a running Dask scheduler; null: this process
    )
    channels_last: Switch = True  # train and infer on CUDA: memory format of images and convolutions
    compile: Switch = False  # train on CUDA: torch.compile the backbone's trunk
    gradient_checkpointing: Switch = False  # train: recompute the backbone's stages in the backward pass, saves memory
    tensorboard: Switch = False  # train: write curves for TensorBoard into cache/DATASET/tensorboard
    # train: images of this rank's share of a batch that are computed at once, gradients add up; null: the whole share
    micro_batch: Annotated[Whole, within(1, 4096)] | None = None
    decode_threads: Annotated[Whole, within(1, 256)] = (
        2  # detect, encode_images, infer, represent: decode while it computes
    )


@dataclass(frozen=True)
class Params:
    """All sections of one dataset, with a variant's overrides in them: `params[DetectParams]`."""

    sections: Mapping[str, Any]

    def __getitem__(self, kind: type[Section]) -> Section:
        return typing.cast(Section, self.sections[section_name(kind)])


@dataclass(frozen=True)
class Variant(KnownKeys):
    """A named row: overrides of three sections. Rows that differ only in `evaluate` can share one training run."""

    desc: str
    run: VariantName | None = None  # the row whose trained runs this one is scored from; null: its own
    model: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    evaluate: dict[str, Any] = field(default_factory=dict)


def load_params(path: Path, dataset: str, run: Run | None = None) -> Params:
    """Read and check params.yaml for one dataset, with the overrides of a run's variant applied.

    Raises:
        ParamError: all faults of the file in one message: unknown keys, wrong types, numbers out of range.
    """
    document = read_params_file(path)
    faults: list[str] = []
    variants = _variants(document, faults)
    datasets = [key for key, value in document.items() if isinstance(value, Mapping) and key not in _NO_DATASET]
    faults += [f"{name!r} is a section's name; expected {fault}" for name in datasets if (fault := name_fault(name))]
    if dataset not in datasets:
        known = [str(name) for name in datasets]
        faults.append(f'no dataset "{dataset}"{did_you_mean(dataset, known)}; it has {", ".join(known)}')
        raise _refused(path, faults)
    if run is not None and run.variant not in variants:  # it may be among the damaged ones, whose faults say more
        names = ", ".join(variants)
        faults = faults or [f'no variant "{run.variant}"{did_you_mean(run.variant, variants)}; it has {names}']
        raise _refused(path, faults)
    is_rerun, section = RERUN_MARK in document, dict(document[dataset])
    if run is not None:
        for where, changes in _changes_of(run, variants[run.variant], faults):
            _override(section, where, changes, is_rerun, faults)
    sections = _build_sections(section, dataset, is_rerun, faults)
    if faults:
        raise _refused(path, faults)
    return Params(sections)


def _refused(path: Path, faults: list[str]) -> ParamError:
    return ParamError(f"{path.name}: " + "; ".join(faults))


def _changes_of(run: Run, variant: Variant, faults: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What a run changes, with where it is written: sections of its variant, then its overrides one by one."""
    changes = [(f"variants.{run.variant}", {stage: getattr(variant, stage) for stage in OVERRIDDEN})]
    for override in run.overrides:
        name, _, text = override.partition("=")
        try:
            value = parse_yaml(text)
        except NOT_YAML:
            faults.append(f'override "+{override}": "{text}" is not a YAML value; expected +section.key=value')
            continue
        for key in reversed(name.split(".")):
            value = {key: value}
        changes.append((f'override "+{override}"', value))
    return changes


def _override(
    section: dict[str, Any], where: str, changes: Mapping[str, Any], is_rerun: bool, faults: list[str]
) -> None:
    """Merge changes of some sub-sections into a dataset's section, in place; an unknown key is a fault."""
    for stage, values in changes.items():
        if stage not in OVERRIDDEN:
            faults.append(f"{where}: section {stage} cannot be overridden; expected one of {', '.join(OVERRIDDEN)}")
            continue
        base = section.get(stage, {})
        if not isinstance(base, Mapping) or (is_rerun and stage not in section):
            continue  # a fault that building the section reports, or a section that the rerun stage does not read
        known = [item.name for item in dataclasses.fields(section_class(stage))]
        if stage == "model":  # a method's or backbone's own settings
            known += [key for key, value in values.items() if isinstance(value, Mapping)]
        unknown = [key for key in values if key not in known]
        faults += [f'{where}: unknown key "{stage}.{key}"{did_you_mean(str(key), known)}' for key in unknown]
        section[stage] = _merged(base, {key: value for key, value in values.items() if key not in unknown})


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes over a section; where both hold a section under a key, these are merged too."""
    both = {
        key: _merged(base[key], value)
        for key, value in changes.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
    }
    return {**base, **changes, **both}


def _build_sections(section: Mapping[str, Any], dataset: str, is_rerun: bool, faults: list[str]) -> dict[str, Any]:
    """Build all sections of a dataset; in a file of `weakhoi rerun`, those that it leaves out are never read."""
    faults += [
        f'unknown key "{dataset}.{key}"{did_you_mean(str(key), SECTIONS)}' for key in section if key not in SECTIONS
    ]
    return {
        name: build_section(section_class(name), _gathered(name, section.get(name)), f"{dataset}.{name}", faults)
        for name in SECTIONS
        if name in section or not is_rerun
    }


def _gathered(name: str, section: Any) -> Any:
    """A section as its class takes it: sub-sections of `model`, named after methods and backbones, under `settings`.

    Manifests, and so the files of `rerun`, hold them under that key already.
    """
    if name != "model" or not isinstance(section, Mapping) or not isinstance(section.get("settings", {}), Mapping):
        return section
    own = {key: value for key, value in section.items() if isinstance(value, Mapping) and key != "settings"}
    rest = {key: value for key, value in section.items() if key not in own}
    return {**rest, "settings": _merged(section.get("settings", {}), own)}


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
    """Return the `execution` section; a file without one, as `weakhoi rerun` writes it, runs in this process.

    Raises:
        ParamError: as `load_params`.
    """
    faults: list[str] = []
    execution = build_section(ExecutionParams, read_params_file(path).get("execution", {}), "execution", faults)
    if execution is None:
        raise _refused(path, faults)
    return execution


def load_run_variants(path: Path) -> tuple[str, ...]:
    """Return what `dvc repro` trains, evaluates and reports, in order: the names under `run_variants` and its likes.

    Raises:
        ParamError: no list of names, no name at all, a name twice, or one that `variants` does not have.
    """
    return _variant_names(path, *RUN_VARIANTS)


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


def _variant_names(path: Path, *keys: str) -> tuple[str, ...]:
    """Names under the keys, in order; each once."""
    document, variants = read_params_file(path), load_variants(path)
    found: dict[str, str] = {}
    faults = []
    for key in keys:
        names = document.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ParamError(f"{path.name}: {key} is {names!r}; expected a list of names of variants")
        for name in names:
            if name not in variants:
                faults.append(f'{key}: no variant "{name}"{did_you_mean(name, variants)}; it has {", ".join(variants)}')
            if name in found:
                faults.append(f'{key}: "{name}" is listed twice')
            found[name] = key
    if faults:
        raise ParamError(f"{path.name}: " + "; ".join(faults))
    if not found:
        raise ParamError(f"{path.name}: {keys[0]} is empty; expected a list of names of variants")
    return tuple(found)


def _variants(document: Mapping[str, Any], faults: list[str]) -> dict[str, Variant]:
    rows = document.get("variants", {})
    if not isinstance(rows, Mapping):
        faults.append(f"variants: expected a section, found {type(rows).__name__}")
        return {}
    faults += [f"{name!r} is a variant's name; expected {fault}" for name in rows if (fault := name_fault(name))]
    built = {str(name): build_section(Variant, row, f"variants.{name}", faults) for name, row in rows.items()}
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
