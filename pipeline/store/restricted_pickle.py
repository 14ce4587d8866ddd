"""Pickles of others, read without running anything: plain containers, numbers, text and numpy arrays only.

A pickle may call any function of any installed package while it is read. Here only a short list of constructors is
allowed, and classes of others that a caller replaces by its own; anything else is refused by name.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.core.errors import DataError
from pipeline.store.file_content import reason_and_remedy

_BUILTINS = frozenset(
    ("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple")
)
_ALLOWED = {(module, name) for module in ("builtins", "__builtin__") for name in _BUILTINS} | {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # bytes in pickles of protocol 2
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, stand_ins: Mapping[str, type]) -> None:
        super().__init__(stream, encoding="latin1")
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Any:
        """Look up a constructor of the list, or a stand-in."""
        if name in self._stand_ins:
            return self._stand_ins[name]
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_restricted_pickle(path: Path, stand_ins: Mapping[str, type] | None = None) -> Any:
    """Read a pickle of builtins and numpy arrays, Python 2's among them.

    Args:
        stand_ins: own classes, built instead of those of that name in whatever module of others.

    Raises:
        DataError: missing, damaged, or it names anything else.
    """
    try:
        with path.open("rb") as stream:
            return _Unpickler(stream, stand_ins or {}).load()
    except FileNotFoundError:
        raise DataError(f"{path}: does not exist; check the path") from None
    except Exception as error:  # damaged pickles raise errors of any kind
        fault = reason_and_remedy(path, "pickle", error, "nothing else is read, save it as those")
        raise DataError(f"{path}: not a pickle of builtins and numpy arrays ({fault.what}); {fault.remedy}") from None
