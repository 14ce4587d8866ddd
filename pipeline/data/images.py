"""Images from disk, decoded."""

from __future__ import annotations

import hashlib
import stat
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipeline.core.errors import DataError, resource_error
from pipeline.data.split import SplitManifest
from pipeline.store.file_content import content_of

# What is read. Pillow knows more, but hands some to other programs (EPS runs in Ghostscript): no image may run code.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MIN_SIDE = 8  # pixels; a detector's rescaling leaves nothing of thinner images
MAX_ASPECT = 50

# What Pillow raises for damaged files, found by damaging some 100,000.
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, struct.error)
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
_TURNED_BACK = _TURNS | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}  # the others undo themselves


def open_image(path: Path, *, upright: bool = False, sha256: str | None = None) -> Image.Image:
    """Return an image decoded to RGB; of an animation the first frame, of transparent pixels their color.

    Pixels are as stored, since annotated boxes refer to those; `upright` turns them as the EXIF orientation says, as
    people see a photo. Nothing is allocated for an image that is refused for its size.

    Args:
        sha256: digest that the file must have.

    Raises:
        DataError: missing, no regular file (opening a pipe would wait forever), changed, not an image in one of
            `FORMATS`, truncated, of 32-bit pixels, or larger than Pillow's safety limit.
    """
    _ignore_pillow_warnings()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path}: not an image but a folder, pipe or device; put the image file in its place")
        with path.open("rb") as stream:
            if sha256 is not None:
                _check_digest(path, hashlib.file_digest(stream, "sha256").hexdigest(), sha256)
                stream.seek(0)
            with Image.open(stream, formats=FORMATS) as image:
                _check_limit(path, image)
                if image.format == "TIFF" and not upright:  # Pillow turns these while it decodes, then forgets the tag
                    turn = _TURNED_BACK.get(_orientation(image))
                    return _turned(_to_rgb(image), turn)
                return _upright(image) if upright else _to_rgb(image)
    except FileNotFoundError:
        raise DataError(f"{path}: image does not exist; restore it or run prepare again") from None
    except PermissionError as error:
        raise DataError(f"{path}: image cannot be read ({error.strerror}); check its permissions") from None
    except UnidentifiedImageError:
        known = f"not one of {', '.join(FORMATS)}" if path.stat().st_size else "the file is empty"
        found = content_of(path, "image") if path.stat().st_size else None
        hint = f"; it holds {found.what}: {found.remedy}" if found else ""
        raise DataError(f"{path}: image cannot be decoded ({known}){hint}; convert or replace the file") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: image is too large to be decoded safely ({error}); shrink it") from None
    except _DAMAGED as error:
        raise resource_error(error) or DataError(
            f"{path}: image cannot be decoded ({' '.join(str(error).split())}); replace the file"
        ) from None


def open_split_image(manifest: SplitManifest, index: int, root: Path) -> Image.Image:
    """Return one image of a split, RGB, turned as the manifest says: the one that `prepare` recorded, or none.

    The digest is checked whenever an image is read. So a link inside the image root may lead anywhere (DVC's cache, a
    colleague's disk), while a manifest from elsewhere cannot make the stage read other images.

    Args:
        root: repository root that the manifest's image root is relative to.

    Raises:
        DataError: as `open_image` and `check_usable_size`, or of another digest or size than recorded.
    """
    record = manifest.images[index]
    path = root / manifest.image_root / record.path
    image = open_image(path, upright=manifest.upright, sha256=record.sha256)
    expected = (record.width, record.height)
    if image.size != expected:
        raise DataError(
            f"{path}: image is {image.size} pixels (width, height), the manifest says {expected}; run prepare again"
        )
    check_usable_size(path, image.size)
    return image


def upright_rgb(image: Image.Image, where: str) -> Image.Image:
    """Return an image that is in memory already, or opened, as `open_image` returns a file with `upright`.

    Args:
        where: which image, for the message.

    Raises:
        DataError: damaged, or of 32-bit pixels.
    """
    _ignore_pillow_warnings()
    try:
        return _upright(image)
    except _DAMAGED as error:
        raise resource_error(error) or DataError(
            f"{where}: cannot be decoded ({' '.join(str(error).split())})"
        ) from None


def check_usable_size(path: Path | str, size: tuple[int, int]) -> None:
    """Refuse images that a detector cannot process.

    Args:
        path: of the image, or which one it is, for the message.

    Raises:
        DataError: a side (width, height in pixels) is below `MIN_SIDE`, or one is over `MAX_ASPECT` times the other.
    """
    if min(size) < MIN_SIDE or max(size) > MAX_ASPECT * min(size):
        raise DataError(
            f"{path}: image is {size} pixels (width, height); expected sides of {MIN_SIDE} or more, and none "
            f"{MAX_ASPECT} times the other: crop it or leave it out"
        )


def _ignore_pillow_warnings() -> None:
    """Damaged metadata is no reason to refuse an image; damaged pixels raise, and `_check_limit` looks at the size.

    For the whole process: images are decoded in several threads, in which `warnings.catch_warnings` is not safe.
    """
    for category in (UserWarning, Image.DecompressionBombWarning):
        warnings.filterwarnings("ignore", category=category, module=r"PIL\.")


def _check_digest(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise DataError(
            f"{path}: image has changed (sha256 {found[:12]}, the manifest says {expected[:12]}); "
            "restore it or run prepare again"
        )


def _check_limit(path: Path, image: Image.Image) -> None:
    """Refuse what Pillow itself would only warn of: up to twice its limit."""
    limit, pixels = Image.MAX_IMAGE_PIXELS, image.width * image.height
    if limit is not None and pixels > limit:
        raise DataError(
            f"{path}: image is too large to be decoded safely ({image.width} x {image.height} are {pixels} pixels, "
            f"expected {limit} at most); shrink it"
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    """Decode to 8-bit RGB; PIL's own conversion would turn 16-bit grays into white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}, expected 8 or 16 bits")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (as stored) where there is none or it cannot be read."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except _DAMAGED:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _upright(image: Image.Image) -> Image.Image:
    """Decode, then turn as the tag says: decoding a TIFF turns it already, and forgets the tag."""
    pixels = _to_rgb(image)
    return _turned(pixels, _TURNS.get(_orientation(image)))


def _turned(pixels: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    return pixels if turn is None else pixels.transpose(turn)
