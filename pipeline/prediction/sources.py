"""What a caller may hand over as images: files, Pillow images, arrays, or a list of these."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.inference.predict import Source

_EXPECTED = "expected the path of an image, a Pillow image, a uint8 array [height, width, 3], or a list of these"


def sources_of(images: Any) -> Sequence[Source]:
    """Return one source for each image of a list or tuple, or one for a single image.

    Raises:
        DataError: something else, or an array of another type or shape; says which of the list it is.
    """
    items = images if isinstance(images, list | tuple) else [images]
    return [_source(item, f"image {number}") for number, item in enumerate(items)]


def _source(item: Any, where: str) -> Source:
    if isinstance(item, str | os.PathLike):
        if not os.path.lexists(item):
            raise DataError(f"{os.fspath(item)!s}: no such image file; check the path")
        return Path(item)
    if isinstance(item, Image.Image):
        return item
    if isinstance(item, np.ndarray):
        return Image.fromarray(_checked(item, where))
    raise DataError(f"{where} is of type {type(item).__name__}; {_EXPECTED}")


def _checked(array: np.ndarray[Any, Any], where: str) -> np.ndarray[Any, Any]:
    shape = list(array.shape)
    if array.dtype != np.uint8:
        remedy = "; multiply values in 0..1 by 255, then .astype(np.uint8)" if array.dtype.kind == "f" else ""
        raise DataError(f"{where} is an array of {array.dtype}; expected uint8 in 0..255{remedy}")
    if array.ndim != 3 or shape[2] != 3:
        hint = "; give a batch as a list of its images" if array.ndim == 4 else ""
        hint = "; put the channels last: array.transpose(1, 2, 0)" if array.ndim == 3 and shape[0] == 3 else hint
        hint = "; repeat a gray image: np.stack([gray] * 3, -1)" if array.ndim == 2 else hint
        raise DataError(f"{where} is an array of shape {shape}; expected [height, width, 3], RGB{hint}")
    if not array.size:
        raise DataError(f"{where} is an array of shape {shape}; expected at least one pixel")
    return np.ascontiguousarray(array)
