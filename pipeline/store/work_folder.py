"""Finished work of a stage that is not done: its folder, and files of tensors, each with a checksum of its own.

The folder is named by a key: a digest of all that affects the work (inputs, params, code, libraries, and for training
the ranks and the kind of device), so that work of two kinds never mixes. The stage removes the folder when it is done.
A damaged file counts as absent: the stage makes it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pipeline.core.errors import resource_error
from pipeline.store.files import atomic_path


def work_folder(folder: Path, key: str) -> Path:
    """Folder of the work of one key inside a stage's `Layout.work`."""
    return folder / key[:16]


def tell_of_other_work(folder: Path, key: str, tell: Callable[[str], None]) -> None:
    """Report, in one line each, folders of other keys, whose work this run cannot use."""
    own = work_folder(folder, key)
    for other in sorted(path for path in folder.glob("*") if path.is_dir() and path != own):
        if count := len(list(other.glob("*.safetensors"))):
            tell(
                f"{other}: {count} {'file' if count == 1 else 'files'} of a run that was stopped, with other inputs, "
                "params, code, libraries, ranks or kind of device than now; set aside, and removed when this run ends"
            )


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any] | None = None) -> None:
    """Write named CPU tensors atomically as safetensors, with JSON values beside them."""
    text = json.dumps(dict(values or {}))
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(contiguous, {"values": text, "sha256": digest_of_tensors(contiguous, text)}))


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return (tensors, values), or None where the file is absent or damaged.

    Raises:
        ResourceError: there is no memory to read it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = metadata["values"]
        if metadata["sha256"] != digest_of_tensors(tensors, text):
            return None
        return tensors, json.loads(text)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        if lacking := resource_error(error):
            raise lacking from None
        return None


def digest_of_tensors(tensors: Mapping[str, torch.Tensor], text: str = "") -> str:
    """Sha256 of named CPU tensors, and of a text."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():  # strides of empty ones may be anything
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
