"""A scratch repository root that holds what one stage manifest names, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.config.layout import Layout
from pipeline.config.params import RERUN_MARK
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.core.names import SPLITS
from pipeline.core.types import StageManifest
from pipeline.data.split import open_split
from pipeline.store.files import sha256_of, write_json
from pipeline.store.manifests import relative
from pipeline.store.vocabulary_file import read_vocabulary
from stages._command import split_names
from stages.cli import command_named

_PLAIN = ("dataset", "variant", "split", "seed")  # arguments that become part of paths
STAGES = (
    "prepare",
    "detect",
    "import_proposals",
    "annotated_proposals",
    "label_pairs",
    "label_captions",
    "label",
    "label_quality",
    "encode_prompts",
    "encode_images",
    "train",
    "infer",
    "evaluate",
    "represent",
    "tsne",
    "report",
)
# Options that change where a stage runs and what it prints, not what it makes.
_NOT_RECORDED = ("root", "device", "scheduler", "again", "-q", "quiet", "-v", "verbose")


def _arguments_of(stage: str) -> set[str]:
    """Options of a stage's command that its manifests record."""
    options = {option.removeprefix("--") for param in command_named(stage).params for option in param.opts}
    return options - {*_NOT_RECORDED}


def build_scratch(manifest: StageManifest, root: Path, folder: Path) -> None:
    """Link every input, also the images that input split manifests name, and write params.yaml.

    Files are linked one by one. No folder is a link, so that a stage cannot write into the folders of the inputs.

    Args:
        folder: new or empty.

    Raises:
        ArtifactError: the folder is not empty; an input is missing or has another digest than recorded; the manifest
            holds stages, arguments or paths that no stage records.
    """
    _check_names(manifest)
    if folder.exists() and any(folder.iterdir()):
        raise ArtifactError(f"{folder}: not empty; a run needs a scratch folder of its own, give a new or an empty one")
    for name, expected in manifest.inputs.items():
        source = root / name
        if not source.exists():
            raise ArtifactError(f"{name}: input of {manifest.stage} is missing; run dvc repro or dvc pull")
        if (found := sha256_of(source)) != expected:
            raise ArtifactError(f"{name}: sha256 {found[:12]}, the manifest recorded {expected[:12]}; dvc checkout it")
        if not Path(name).is_absolute():  # absolute paths lead to the same file from everywhere
            _link(source, folder / name)
    _link_images(manifest, root, folder)
    if manifest.stage == "prepare":
        _link_download(manifest.params.get("prepare", {}), root, folder)
    write_json(folder / "params.yaml", _params(manifest))  # JSON is YAML


def _params(manifest: StageManifest) -> dict[str, Any]:
    """params.yaml with the recorded sections, which hold the variant's overrides already."""
    recorded = dict(manifest.params)
    rows = {Run.parse(name).variant: row for name, row in recorded.pop("variants", {}).items()}
    names = [Run.parse(name).variant for name in split_names([manifest.arguments.get("variant", "")]) if name]
    if names and not rows:
        unchanged: dict[str, Any] = {"desc": "as recorded", "model": {}, "train": {}, "evaluate": {}}
        rows = dict.fromkeys(names, unchanged)
    return {RERUN_MARK: manifest.stage, manifest.arguments["dataset"]: recorded, "variants": rows}


def _link_images(manifest: StageManifest, root: Path, folder: Path) -> None:
    layout = Layout(root, manifest.arguments["dataset"])
    for split in SPLITS:
        if relative(layout.split(split), root) not in manifest.inputs:
            continue
        images = open_split(layout, split, read_vocabulary(layout.vocabulary))
        if not Path(images.image_root).is_absolute():
            for index in range(len(images)):
                _link(images.image_path(index, root), images.image_path(index, folder))


def _link_download(params: dict[str, Any], root: Path, folder: Path) -> None:
    """Link every file of the download; where it lies outside of the repository, write its path into the params."""
    download = params.get("source")
    if download and ".." in Path(download).parts:
        params["source"] = (root / download).resolve().as_posix()
    elif download and not Path(download).is_absolute():
        _link(root / download, folder / download)


def _check_names(manifest: StageManifest) -> None:
    """Refuse a manifest that would run anything but a stage, or reach files outside of the scratch folder."""
    if manifest.stage not in STAGES:
        raise ArtifactError(f'no stage "{manifest.stage}" writes manifests; expected {", ".join(STAGES)}')
    recorded = _arguments_of(manifest.stage)
    for name, value in manifest.arguments.items():
        if name not in recorded:
            raise ArtifactError(
                f'argument "{name}" is not one that {manifest.stage} records; give a manifest as written'
            )
        if name in _PLAIN and not re.fullmatch(r"[^/\x00-\x1f.-][^/\x00-\x1f]*", value):
            raise ArtifactError(f"{name} is {value!r}; expected a plain name, as {manifest.stage} records it")
    if "dataset" not in manifest.arguments:
        raise ArtifactError(f"argument dataset is missing; give a manifest as {manifest.stage} wrote it")
    for kind, paths in (("input", manifest.inputs), ("output", manifest.outputs)):
        for path in paths:
            if ".." in Path(path).parts or (kind == "output" and Path(path).is_absolute()):
                raise ArtifactError(f'{kind} "{path}" leaves the repository; give a manifest as written')
    for name in ("prepare", "variants"):
        if not isinstance(manifest.params.get(name, {}), dict):
            raise ArtifactError(f"params: {name} is no section; give a manifest as {manifest.stage} wrote it")


def stage_arguments(manifest: StageManifest) -> list[str]:
    """Return the manifest's arguments as command-line options."""
    return [text for name, value in manifest.arguments.items() for text in (f"--{name}", value)]


def _link(source: Path, target: Path) -> None:
    """Link a file, or each file of a folder."""
    for file in list(_files(source)) if source.is_dir() else [source]:
        place = target / file.relative_to(source)
        if not place.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file.resolve())


def _files(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Every file inside, also through links to folders; a folder that links to one above it is left out."""
    real = folder.resolve()
    for path in sorted(folder.iterdir()) if real not in above else ():
        if path.is_dir():
            yield from _files(path, above | {real})
        else:
            yield path
