"""The tensors of a TorchScript archive, such as OpenAI's CLIP files, read without running the program that it holds.

`torch.jit.load` runs the archive's own code. Here the archive is read as a zip file with a pickle of modules and a file
for each tensor. Modules become plain records; the pickle may name nothing else.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.core.errors import resource_error

_DTYPES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, by the names inside."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # no zip file, or a damaged one
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return the parameters and buffers by the names that `state_dict` gives them, on the CPU.

    Raises:
        ValueError: damaged, or it holds anything but modules, tensors and plain values.
        ResourceError: no memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (data,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            return dict(_tensors(_Unpickler(archive, data.removesuffix("data.pkl")).load(), ""))
    except Exception as error:  # damaged pickles raise errors of any kind
        raise resource_error(error) or ValueError(" ".join(str(error).split()) or type(error).__name__) from None


class _Module:
    """A module of the archive: its attributes, none of its code."""


def _tensors(module: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(_stored(archive, f"{folder}data.pkl")))
        self._archive, self._folder = archive, folder
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Look up a constructor of the list."""
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        """The values of one storage, flat."""
        _, dtype, key, *_ = pid
        if key not in self._storages:
            data = bytearray(_stored(self._archive, f"{self._folder}data/{key}"))
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.zeros(0, dtype=dtype)
        return self._storages[key]


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """One file of the archive. Compressed ones, which torch never writes, are refused: they may unpack to any size."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()
