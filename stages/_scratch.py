"""A scratch repository root that holds what one stage manifest names, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pipeline.core.errors import ArtifactError
from pipeline.core.params import RERUN_MARK
from pipeline.core.types import StageManifest
from pipeline.store.files import sha256_of, write_json

_PLAIN = ("dataset", "variant", "split", "seed")  # arguments that become part of paths
_ARGUMENTS = {  # that each stage records
    "prepare": ("dataset",),
    "detect": ("dataset", "split"),
    "import_proposals": ("dataset", "split", "input", "labels", "trained-on"),
    "encode_prompts": ("dataset", "clip", "bank"),
    "train": ("dataset", "variant", "seed"),
    "infer": _PLAIN,
    "evaluate": _PLAIN,
    "represent": _PLAIN,
    "tsne": ("dataset", "variant", "seed"),
    "report": ("dataset", "variant"),
}


def build_scratch(manifest: StageManifest, root: Path, folder: Path) -> None:
    """Link every input, with the images that split manifests among them refer to, and write params.yaml.

    Raises:
        ArtifactError: an input is missing or is not the one that the manifest recorded, or the manifest names what no
            stage records.
    """
    _check_names(manifest)
    download = (manifest.params.get("prepare") or {}).get("source")
    if download and ".." in Path(download).parts:
        manifest.params["prepare"]["source"] = (root / download).resolve().as_posix()
    elif download and not (folder / download).exists():
        _link(root / download, folder / download)
    for name, expected in manifest.inputs.items():
        source = root / name
        if not source.exists():
            raise ArtifactError(f"{name}: input of {manifest.stage} is missing; run dvc repro or dvc pull")
        if (found := sha256_of(source)) != expected:
            raise ArtifactError(f"{name}: sha256 {found[:12]}, the manifest recorded {expected[:12]}; dvc checkout it")
        if not (folder / name).exists():  # absolute paths lead elsewhere, and a download is linked whole
            _link(source, folder / name)
        if source.suffix == ".json" and name.startswith("manifests/"):
            image_root = json.loads(source.read_text()).get("image_root")
            if image_root and not (folder / image_root).exists():
                _link(root / image_root, folder / image_root)
    dataset = manifest.arguments["dataset"]
    sections = {name: value for name, value in manifest.params.items() if name != "variants"}
    document = {RERUN_MARK: manifest.stage, dataset: sections, "variants": manifest.params.get("variants", {})}
    names = [text.partition("+")[0] for text in manifest.arguments.get("variant", "").split(",")]
    if any(names) and not document["variants"]:  # the overrides are already in the recorded sections
        unchanged: dict[str, Any] = {"desc": "as recorded", "model": {}, "train": {}, "evaluate": {}}
        document["variants"] = dict.fromkeys(names, unchanged)
    write_json(folder / "params.yaml", document)  # JSON is YAML


def _check_names(manifest: StageManifest) -> None:
    """A manifest may come from a stranger: it must run nothing but stages, and reach nothing outside of the scratch."""
    if manifest.stage not in _ARGUMENTS:
        raise ArtifactError(f'no stage "{manifest.stage}" writes manifests; expected {", ".join(_ARGUMENTS)}')
    for name, value in manifest.arguments.items():
        if name not in _ARGUMENTS[manifest.stage]:
            raise ArtifactError(
                f'argument "{name}" is not one that {manifest.stage} records; give a manifest as written'
            )
        if name in _PLAIN and not re.fullmatch(r"[\w+=.,-]+", value):
            raise ArtifactError(f"{name} is {value!r}; expected a plain name, as {manifest.stage} records it")
    for kind, paths in (("input", manifest.inputs), ("output", manifest.outputs)):
        for path in paths:
            if ".." in Path(path).parts:
                raise ArtifactError(f'{kind} "{path}" leaves the repository; give a manifest as written')


def stage_arguments(manifest: StageManifest) -> list[str]:
    """Return the manifest's arguments as command-line options."""
    return [text for name, value in manifest.arguments.items() for text in (f"--{name}", value)]


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
