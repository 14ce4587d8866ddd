"""Stage manifests: what a run of a stage read and made. Written last, they mark the run as done.

Paths inside are relative to the repository root; no clock times, so equal runs give equal manifests.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.config.sections import digest_of, plain
from pipeline.core.errors import ArtifactError
from pipeline.core.types import StageManifest, is_sha256
from pipeline.store.files import read_json, remove_leftovers, sha256_of, write_json

SCHEMA_VERSION = 1
_PACKAGES = ("torch", "torchvision", "openai-clip", "numpy", "h5py", "zarr", "pillow", "safetensors")


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that artifacts depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES}


def relative(path: Path, root: Path) -> str:
    """Return a path as manifests hold it: relative to the root if it is inside."""
    absolute, base = path.absolute(), root.absolute()
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else absolute.as_posix()


def write_stage_manifest(
    path: Path,
    *,
    root: Path,
    stage: str,
    arguments: Mapping[str, str],
    inputs: Iterable[Path] | Mapping[Path, str],
    params: Mapping[str, Any],
    outputs: Iterable[Path],
    counts: Mapping[str, Any],
    seed: int,
) -> StageManifest:
    """Digest inputs and outputs, and write the manifest atomically.

    Args:
        inputs: paths, or their digests from when they were read (`StageInputs.digests`).
        params: the resolved sections that the stage read, by section name (dataclasses or plain values).
        arguments: the choices made on the command line, e.g. {"dataset": "toyworld", "split": "train"}.
    """
    sections = {name: plain(value) for name, value in params.items()}
    outputs = sorted(outputs)
    for item in outputs:
        remove_leftovers(item)
    digests = inputs if isinstance(inputs, Mapping) else {item: sha256_of(item) for item in inputs}
    manifest = StageManifest(
        stage=stage,
        arguments=dict(arguments),
        schema_version=SCHEMA_VERSION,
        inputs={relative(item, root): digest for item, digest in sorted(digests.items())},
        params=sections,
        params_digest=digest_of(sections),
        outputs={relative(item, root): sha256_of(item) for item in outputs},
        counts=dict(counts),
        versions=library_versions(),
        seed=seed,
    )
    write_json(path, vars(manifest))
    return manifest


def read_stage_manifest(path: Path, *, remedy: str = "run the stage that writes it, e.g. `dvc repro`") -> StageManifest:
    """Read a stage manifest; `remedy` says what to do if it cannot be used.

    Raises:
        ArtifactError: missing, truncated, of another schema, its params do not match their digest, or a value is of
            another type than `write_stage_manifest` writes.
    """
    data = read_json(path, remedy=remedy)
    names = {item.name for item in dataclasses.fields(StageManifest)}
    if not isinstance(data, dict) or set(data) != names:
        raise ArtifactError(f"{path}: not a stage manifest; expected the keys {', '.join(sorted(names))}; {remedy}")
    if data["schema_version"] != SCHEMA_VERSION:
        raise ArtifactError(f"{path}: schema {data['schema_version']}, expected {SCHEMA_VERSION}; {remedy}")
    if fault := _wrong_value(data):
        raise ArtifactError(f"{path}: not a stage manifest; {fault}; {remedy}")
    manifest = StageManifest(**data)
    found = digest_of(manifest.params)
    if found != manifest.params_digest:
        raise ArtifactError(
            f"{path}: params digest is {found[:12]}, manifest says {manifest.params_digest[:12]}; {remedy}"
        )
    return manifest


def _wrong_value(data: Mapping[str, Any]) -> str | None:
    """The first value of another type than a stage writes, and what it should be."""
    for name, kind in (("stage", str), ("params_digest", str), ("seed", int)):
        if type(data[name]) is not kind:
            return f"{name} is of type {type(data[name]).__name__}, expected {kind.__name__}"
    for name in ("arguments", "inputs", "params", "outputs", "counts", "versions"):
        if not isinstance(data[name], dict):
            return f"{name} is of type {type(data[name]).__name__}, expected names with values"
    for name in ("arguments", "versions"):
        for key, value in data[name].items():
            if not isinstance(value, str):
                return f"{name}: {key} is of type {type(value).__name__}, expected a text"
    for name in ("inputs", "outputs"):
        for key, value in data[name].items():
            if not is_sha256(value):
                return f"{name}: the digest of {key} is {ascii(value)[:40]}, expected 64 hexadecimal digits"
    return None


def command_of(manifest: StageManifest) -> str:
    """The command that makes a run's outputs again."""
    options = (f"--{name} {shlex.quote(value)}" for name, value in manifest.arguments.items())
    return " ".join(("weakhoi", manifest.stage.replace("_", "-"), *options))


def differences(
    manifest: StageManifest, root: Path, maker: Callable[[str], StageManifest | None] = lambda name: None
) -> list[str]:
    """Compare a manifest's inputs and outputs with the files on disk; return a line with a remedy for each difference.

    An unreadable file is a difference.

    Args:
        maker: returns the run that made an input, None if no run did.
    """
    lines = []
    for kind, entries in (("input", manifest.inputs), ("output", manifest.outputs)):
        for name, expected in entries.items():
            if not (fault := difference(root / name, expected)):
                continue
            made_by = maker(name) if kind == "input" else manifest
            is_of_maker = made_by is not None and made_by.outputs.get(name) == expected  # so the file is at fault
            remedy = f'run "{command_of(made_by if made_by and is_of_maker else manifest)}"'
            if made_by is None and fault == _MISSING:
                remedy = "put it back"
            lines.append(f"{name}: {kind} of {manifest.stage} {fault}; {remedy}")
    return lines


_MISSING = "is missing"


def difference(path: Path, expected: str) -> str:
    """How a file or folder differs from an expected digest; empty if it does not."""
    try:
        if not path.exists():
            return _MISSING
        found = sha256_of(path)
    except OSError as error:
        return f"cannot be read ({error.filename}: {error.strerror})"
    except ArtifactError as error:
        return f"cannot be read ({error})"
    return "" if found == expected else f"has sha256 {found[:12]}, expected {expected[:12]}"
