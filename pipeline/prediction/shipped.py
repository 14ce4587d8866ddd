"""Trained models that come with the package, so that images can be predicted before anything is trained.

Each is a folder `models/DATASET/VARIANT`: the config of its checkpoint, and its weights, compressed, matrices in
float16. The manifest beside it holds their digest, what they were made from, and the sections of params.yaml that the
model is used with. `python -m stages.ship_model` writes both.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from pipeline.config.file import build_section
from pipeline.config.params import Params
from pipeline.config.run import Run
from pipeline.config.sections import plain, section_class, section_name
from pipeline.core.errors import ArtifactError
from pipeline.store.files import atomic_path, files_below, read_json, sha256_of, write_json
from pipeline.store.manifests import library_versions

PACKAGE_ROOT = Path(__file__).parents[2]  # of a clone or an installation: what `detect.weights` is relative to
MODELS = Path(__file__).parent / "models"
_WEIGHTS, _CONFIG = "model.safetensors.xz", "config.json"
_REINSTALL = "install weakhoi again"
_XZ = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 1, "pb": 1}]  # of values of two bytes


@dataclass(frozen=True)
class ShippedModel:
    """One model of the package; `models` is the folder of all."""

    dataset: str
    run: Run
    models: Path = MODELS

    @property
    def name(self) -> str:
        """DATASET/VARIANT."""
        return f"{self.dataset}/{self.run.name}"

    @property
    def folder(self) -> Path:
        """Holds weights and config."""
        return self.models / self.name

    @property
    def manifest_path(self) -> Path:
        """JSON beside the folder."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @cached_property
    def _manifest(self) -> Any:
        return read_json(self.manifest_path, remedy=_REINSTALL)

    @property
    def params(self) -> Params:
        """The sections that the model is used with.

        Raises:
            ArtifactError: the manifest is damaged.
        """
        faults: list[str] = []
        sections = {
            name: build_section(section_class(name), values, f"{self.manifest_path}: {name}", faults)
            for name, values in self._manifest["params"].items()
        }
        if faults:
            raise ArtifactError(f"{'; '.join(faults)}; {_REINSTALL}")
        return Params(sections)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return (state, config), as `load_checkpoint` does; matrices are float16.

        Raises:
            ArtifactError: the files are not those that the manifest records.
        """
        found, expected = sha256_of(self.folder), self._manifest["sha256"]
        if found != expected:
            raise ArtifactError(
                f"{self.folder}: sha256 is {found[:12]}, its manifest says {expected[:12]}; {_REINSTALL}"
            )
        state = load(lzma.decompress((self.folder / _WEIGHTS).read_bytes()))
        return state, read_json(self.folder / _CONFIG, remedy=_REINSTALL)


def shipped_names() -> list[str]:
    """DATASET/VARIANT of every model."""
    return sorted(path.relative_to(MODELS).with_suffix("").as_posix() for path in MODELS.glob("*/*.json"))


def find_shipped(dataset: str, run: Run) -> ShippedModel | None:
    """Return the model of a run, None where there is none."""
    model = ShippedModel(dataset, run)
    return model if model.name in shipped_names() else None


def ship(
    model: ShippedModel,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    params: Sequence[Any],
    made_from: Mapping[str, str],
) -> int:
    """Write a trained model, then its manifest; return the size of weights and config in bytes.

    Args:
        state, config: as `load_checkpoint` returns them.
        params: the sections that it is used with.
        made_from: digests by path of the checkpoint and of what was trained from.
    """
    small = {name: value.half() if value.ndim > 1 else value for name, value in state.items()}
    with atomic_path(model.folder) as temporary:
        temporary.mkdir()
        (temporary / _WEIGHTS).write_bytes(lzma.compress(save(small), filters=_XZ))
        write_json(temporary / _CONFIG, dict(config))
    size = sum(path.stat().st_size for path in files_below(model.folder))
    manifest = {
        "model": model.name,
        "sha256": sha256_of(model.folder),
        "bytes": size,
        "made_from": dict(made_from),
        "params": {section_name(type(section)): plain(section) for section in params},
        "versions": library_versions(),
    }
    write_json(model.manifest_path, manifest)
    return size
