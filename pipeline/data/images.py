"""Images from disk to pixels: decoding, resizing for the network, CLIP's normalisation."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pipeline.core.errors import DataError
from pipeline.core.normalisation import CLIP_MEAN, CLIP_STD
from pipeline.core.types import ImageRecord
from pipeline.store.files import sha256_of

_ORIENTATION_TAG = 0x0112  # EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(path: Path, *, upright: bool = False, record: ImageRecord | None = None) -> Image.Image:
    """Return an image decoded to RGB.

    Pixels are as stored, since annotated boxes refer to those; `upright` turns them as the EXIF orientation says, as
    people see a photo. With `record`, the file must be the one that the manifest describes, byte for byte.

    Raises:
        DataError: missing, not an image, truncated, of 32-bit pixels, larger than PIL's safety limit, or not as
            recorded.
    """
    image = _decoded(path, upright)
    if record is not None:
        _check_recorded(path, image, record)
    return image


def _check_recorded(path: Path, image: Image.Image, record: ImageRecord) -> None:
    size = (record.width, record.height)
    if image.size != size:
        raise DataError(
            f"{path}: image is {image.size} pixels (width, height), the manifest says {size}; run prepare again"
        )
    if (found := sha256_of(path)) != record.sha256:
        raise DataError(
            f"{path}: image has sha256 {found[:12]}, the manifest says {record.sha256[:12]}; "
            "it is damaged or another one: restore it, or run prepare again"
        )


def _decoded(path: Path, upright: bool) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # damaged metadata; damaged pixels raise
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pixels = _to_rgb(image)
                return _turned(pixels, image) if upright else pixels
    except FileNotFoundError:
        raise DataError(f"{path}: image does not exist; restore it or run prepare again") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"{path}: image cannot be decoded ({' '.join(str(error).split())}); replace the file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{path}: image is larger than {Image.MAX_IMAGE_PIXELS} pixels; shrink it") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    """Decode to 8-bit RGB; PIL's own conversion would turn 16-bit greys into white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}, expected 8 or 16 bits")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _turned(pixels: Image.Image, stored: Image.Image) -> Image.Image:
    """Apply the orientation tag of the decoded file; an unreadable tag turns nothing."""
    try:
        orientation = stored.getexif().get(_ORIENTATION_TAG)
    except (SyntaxError, ValueError, TypeError, OSError, struct.error):
        return pixels
    method = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return pixels if method is None else pixels.transpose(method)


def read_pixels(path: Path, *, upright: bool = False, record: ImageRecord | None = None) -> NDArray[np.uint8]:
    """Return uint8 HWC RGB pixels; arguments and errors as in `open_image`."""
    return np.asarray(open_image(path, upright=upright, record=record))


def square_pixels(image: Image.Image, side: int) -> Tensor:
    """Resize an image to side x side (bicubic, as CLIP does) and return uint8 [3, side, side]."""
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def normalize_pixels(pixels: Tensor) -> Tensor:
    """Map uint8 [*, 3, S, S] in 0..255 to CLIP's float32 input."""
    mean = pixels.new_tensor(CLIP_MEAN, dtype=torch.float32)[:, None, None]
    std = pixels.new_tensor(CLIP_STD, dtype=torch.float32)[:, None, None]
    return (pixels.float() / 255 - mean) / std
