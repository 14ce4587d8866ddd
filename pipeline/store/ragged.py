"""CSR bookkeeping: rows of many images in one array, cut by offsets int64 [I + 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def offsets_of(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return offsets [I + 1] of per-image counts [I]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def row_owner(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the image of every row, int64 [offsets[-1]]."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def encode_strings(names: list[str]) -> NDArray[np.bytes_]:
    """Return names as fixed-width UTF-8 bytes [I]: a dtype that HDF5 and zarr store without objects."""
    return np.array([name.encode() for name in names], dtype=np.bytes_) if names else np.zeros(0, "S1")


def decode_strings(array: NDArray[Any]) -> list[str]:
    """Inverse of `encode_strings`; strings of any length, as h5py writes texts that are not encoded, are read too.

    Raises:
        TypeError: no list of texts.
        UnicodeDecodeError: bytes that are not UTF-8.
    """
    items = array.tolist()
    if not isinstance(items, list) or not all(isinstance(item, str | bytes) for item in items):
        raise TypeError(f"{array.dtype} {list(array.shape)} is no list of texts")
    return [item if isinstance(item, str) else item.decode() for item in items]
