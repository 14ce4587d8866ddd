"""DINOv2 weights on disk, read by transformers: a folder of `config.json` and `model.safetensors`, or a name of a hub.

A name is looked up in transformers' own cache, and fetched where there is a network. Pickled weights are never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from pipeline.core.errors import DataError, WeightsError, needs_extra, resource_error
from pipeline.store.file_content import reason_and_remedy
from pipeline.store.json_file import load_json

_FILES = ("config.json", "model.safetensors")
_KINDS = ("dinov2_with_registers", "dinov2")  # model_type in their configs
_NOT_SIZES = ("architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path")


class Dinov2Files(NamedTuple):
    """The two files of a DINOv2."""

    config: Path
    weights: Path


def _transformers() -> Any:
    with needs_extra("dinov2", "transformers", "model.backbone: dinov2"):
        import transformers
    transformers.utils.logging.disable_progress_bar()
    return transformers


def find_dinov2(name: str, root: Path) -> Dinov2Files:
    """Find the files of a folder, relative to `root`, or of a name.

    Raises:
        ParamError: transformers is not installed.
        WeightsError: a file is neither on disk nor downloadable.
    """
    hub = _transformers().utils.hub
    folder = root / name
    if folder.is_dir():
        if absent := [file for file in _FILES if not (folder / file).is_file()]:
            raise WeightsError(f"model.dinov2.weights: {folder} has no {absent[0]}; expected {' and '.join(_FILES)}")
        return Dinov2Files(*(folder / file for file in _FILES))
    for cached in (True, False):  # first without network: a cached model neither waits for it nor changes
        try:
            return Dinov2Files(*(Path(hub.cached_file(name, file, local_files_only=cached)) for file in _FILES))
        except (OSError, ValueError) as error:
            if (lacking := resource_error(error)) is not None:
                raise lacking from None
            reason = " ".join(str(error).split())[:200]
    raise WeightsError(
        f'model.dinov2.weights: "{name}" is no folder, and neither in the cache of transformers nor downloadable '
        f"({reason}); give a folder of {' and '.join(_FILES)}"
    )


def dinov2_config(path: Path) -> dict[str, Any]:
    """Sizes of a DINOv2 from its `config.json`, enough for `build_dinov2`: plain JSON values.

    Raises:
        WeightsError: not readable, or of another model.
    """
    try:
        config = load_json(path)
    except DataError as error:
        raise WeightsError(str(error)) from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in _KINDS:
        raise WeightsError(f"{path}: model_type is {kind!r}; expected a DINOv2, {' or '.join(_KINDS)}")
    return {name: value for name, value in config.items() if name not in _NOT_SIZES}


def build_dinov2(config: Mapping[str, Any], where: str) -> Any:
    """Return transformers' model of these sizes, with random weights from torch's global generator.

    Raises:
        ParamError: transformers is not installed.
        WeightsError: it refuses the sizes; `where` names their file.
    """
    transformers = _transformers()
    try:
        return transformers.AutoModel.from_config(transformers.AutoConfig.for_model(**config))
    except Exception as error:  # transformers raises whatever it trips over
        raise resource_error(error) or _refused(where, error) from None


def load_dinov2(files: Dinov2Files) -> Any:
    """Return transformers' model, float32, in evaluation mode.

    Raises:
        WeightsError: the weights are damaged, or not those of the config.
    """
    transformers, config = _transformers(), dinov2_config(files.config)
    try:
        with safe_open(files.weights, framework="pt"):  # damaged: said before transformers wraps it
            pass
    except (SafetensorError, OSError, ValueError) as error:
        fault = reason_and_remedy(files.weights, "safetensors", error, "download it again")
        raise WeightsError(f"{files.weights}: cannot be read ({fault.what}); {fault.remedy}") from None
    try:
        model, info = transformers.AutoModel.from_pretrained(
            files.config.parent,
            config=transformers.AutoConfig.for_model(**config),
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # likewise
        raise resource_error(error) or _refused(str(files.weights), error) from None
    if missing := sorted(info["missing_keys"]):
        raise WeightsError(
            f"{files.weights}: no tensor {missing[0]}, which {files.config.name} asks for; take both of one model"
        )
    return model.eval()


def _refused(where: str, error: Exception) -> WeightsError:
    reason = " ".join(str(error).split())[:200]
    return WeightsError(f"{where}: refused by transformers ({reason}); download it again")
