"""Image files of every kind that people have, by name: those that are read, and those that are refused.

READ: what writes the file at a path and what must be read there, upright, as uint8 [H, W, 3]; lossy files within
`LOSSY` of it. REFUSED: what writes the file, and the part of the message between the path and the remedy.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
LOSSY = 3  # gray levels

WIDTH, HEIGHT = 32, 24
_Y, _X = np.mgrid[:HEIGHT, :WIDTH]
COLORS: Pixels = np.stack([_X * 6, _Y * 8, 255 - _X * 3 - _Y * 2], -1).astype(np.uint8)  # smooth, for lossy formats
FLAT: Pixels = np.full((HEIGHT, WIDTH, 3), (250, 10, 20), np.uint8)
GRAY: Pixels = np.repeat(COLORS[..., :1], 3, -1)
BLACK_WHITE: Pixels = np.where(_X[..., None] > 9, np.uint8(255), np.uint8(0)).repeat(3, -1)
WIDE: Pixels = np.full((400, 20_000, 3), (9, 200, 30), np.uint8)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG, its checksum right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bytes(width: int, height: int, *, depth: int, color: int, rows: bytes) -> bytes:
    """A PNG put together by hand: what Pillow does not write, and sizes that nobody has the pixels of."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)


def _png_of_16_bits(channels: NDArray[np.uint16], color: int) -> Callable[[Path], None]:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    data = png_bytes(WIDTH, HEIGHT, depth=16, color=color, rows=rows)
    return lambda path: path.write_bytes(data) and None


def _saved(image: Image.Image | Pixels, **options: object) -> Callable[[Path], None]:
    return lambda path: (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)


def _turned(orientation: int) -> Callable[[Path], None]:
    """COLORS stored in such a way that the EXIF orientation turns it upright."""
    stored = {
        1: COLORS, 2: COLORS[:, ::-1], 3: COLORS[::-1, ::-1], 4: COLORS[::-1], 5: COLORS.swapaxes(0, 1),
        6: np.rot90(COLORS, 1), 7: COLORS[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(COLORS, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _saved(np.ascontiguousarray(stored[orientation]), exif=exif)


def _palette(indices: Pixels) -> Image.Image:
    image = Image.fromarray(indices, "L").copy()
    image.putpalette([0, 0, 0, 250, 10, 20])
    return image


def _with_alpha(pixels: Pixels, alpha: int) -> Image.Image:
    image = Image.fromarray(pixels)
    image.putalpha(alpha)
    return image


_FRAMES = [Image.fromarray(FLAT), Image.fromarray(COLORS), Image.new("RGB", (WIDTH, HEIGHT))]
_ANIMATION = {"save_all": True, "append_images": _FRAMES[1:]}
_WORDS = COLORS.astype(np.uint16) * 257  # the same colors in 16 bits
_ALPHA = np.full((HEIGHT, WIDTH, 1), 40_000, np.uint16)
_ONES = np.ones((HEIGHT, WIDTH), np.uint8)

READ: dict[str, tuple[Callable[[Path], None], Pixels]] = {
    "rgb.png": (_saved(COLORS), COLORS),
    "rgb.bmp": (_saved(COLORS), COLORS),
    "rgb.tif": (_saved(COLORS), COLORS),
    "rgb.webp": (_saved(COLORS, lossless=True), COLORS),
    "rgb.jpg": (_saved(COLORS, quality=100, subsampling=0), COLORS),
    "progressive.jpg": (_saved(COLORS, quality=100, subsampling=0, progressive=True), COLORS),
    "several.mpo": (_saved(_FRAMES[0], quality=100, **_ANIMATION), FLAT),
    "cmyk.jpg": (_saved(Image.fromarray(FLAT).convert("CMYK"), quality=100), FLAT),
    "cmyk.tif": (_saved(Image.fromarray(COLORS).convert("CMYK")), COLORS),
    "gray.png": (_saved(GRAY[..., 0]), GRAY),
    "gray of 16 bits.png": (_png_of_16_bits(_WORDS[..., :1], color=0), GRAY),
    "gray of 16 bits.tif": (_saved(_WORDS[..., 0]), GRAY),
    "gray and alpha of 16 bits.png": (_png_of_16_bits(np.concatenate([_WORDS[..., :1], _ALPHA], 2), color=4), GRAY),
    "rgb of 16 bits.png": (_png_of_16_bits(_WORDS, color=2), COLORS),
    "rgba of 16 bits.png": (_png_of_16_bits(np.concatenate([_WORDS, _ALPHA], 2), color=6), COLORS),
    "palette.png": (_saved(_palette(_ONES)), FLAT),
    "palette.gif": (_saved(_palette(_ONES)), FLAT),
    "palette with a transparent color.png": (_saved(_palette(_ONES), transparency=1), FLAT),
    "palette with alpha.png": (_saved(_palette(_ONES), transparency=bytes([0, 128])), FLAT),
    "rgb with a transparent color.png": (_saved(FLAT, transparency=(250, 10, 20)), FLAT),
    "gray with alpha.png": (_saved(_with_alpha(GRAY[..., 0], 77)), GRAY),
    "transparent.png": (_saved(_with_alpha(COLORS, 0)), COLORS),
    "half transparent.webp": (_saved(_with_alpha(COLORS, 128), lossless=True, exact=True), COLORS),
    "1 bit.png": (_saved(Image.fromarray(BLACK_WHITE[..., 0]).convert("1")), BLACK_WHITE),
    "1 bit.tif": (_saved(Image.fromarray(BLACK_WHITE[..., 0]).convert("1"), compression="group4"), BLACK_WHITE),
    "animated.gif": (_saved(_FRAMES[0], **_ANIMATION), FLAT),
    "animated.png": (_saved(_FRAMES[0], **_ANIMATION), FLAT),
    "animated.webp": (_saved(_FRAMES[0], lossless=True, **_ANIMATION), FLAT),
    "20,000 pixels wide.jpg": (_saved(WIDE, quality=90), WIDE),
    "new\nline.png": (_saved(COLORS), COLORS),
    "-dash.png": (_saved(COLORS), COLORS),
    **({"Grüße 图.png": (_saved(COLORS), COLORS)} if sys.getfilesystemencoding() == "utf-8" else {}),
    **{f"orientation {turn}.png": (_turned(turn), COLORS) for turn in range(1, 9)},
}


def _cut(pixels: Pixels, keep: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        Image.fromarray(pixels).save(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    return write


def _bytes(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


_NO_IMAGE = "image cannot be decoded (not one of JPEG, PNG, WEBP, BMP, GIF, TIFF)"
_NO_FILE = "not an image but a folder, pipe or device"
_TOO_LARGE = "image is too large to be decoded safely ("
_HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300)
_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n"

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated.jpg": (_cut(COLORS, 0.8), "image cannot be decoded ("),
    "truncated.png": (_cut(COLORS, 0.7), "image cannot be decoded ("),
    "header only.png": (_bytes(png_bytes(32, 24, depth=8, color=2, rows=b"")), "image cannot be decoded ("),
    "zero bytes.jpg": (_bytes(b""), "image cannot be decoded (the file is empty)"),
    "text.jpg": (_bytes(b"not an image\n"), _NO_IMAGE),
    "page.png": (_bytes(b"<!doctype html><title>404 Not Found</title>"), _NO_IMAGE),
    "photo.jpeg": (_bytes(_HEIC), _NO_IMAGE),  # HEIC under another name
    "program.png": (_bytes(_EPS), _NO_IMAGE),  # Pillow would hand it to Ghostscript
    "float.tif": (_saved(np.ones((HEIGHT, WIDTH), np.float32)), "expected 8 or 16 bits"),
    "32 bits.tif": (_saved(np.ones((HEIGHT, WIDTH), np.int32)), "expected 8 or 16 bits"),
    "no pixel.png": (_bytes(png_bytes(0, 24, depth=8, color=2, rows=b"")), "image cannot be decoded ("),
    "bomb, warned of.png": (_bytes(png_bytes(9_500, 9_500, depth=1, color=0, rows=b"")), _TOO_LARGE),
    "bomb.png": (_bytes(png_bytes(50_000, 50_000, depth=1, color=0, rows=bytes(1000))), _TOO_LARGE),
    "huge bomb.png": (_bytes(png_bytes(2**31 - 1, 2**31 - 1, depth=8, color=6, rows=b"")), _TOO_LARGE),
    "folder.jpg": (lambda path: path.mkdir(), _NO_FILE),
    "pipe.jpg": (os.mkfifo, _NO_FILE),
    "device.png": (lambda path: path.symlink_to("/dev/zero"), _NO_FILE),
    "broken link.jpg": (lambda path: path.symlink_to("nowhere.jpg"), "image does not exist"),
    "link to itself.jpg": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
}  # fmt: skip

# Read, but of no use to a detector: refused where an image is to be looked at.
UNUSABLE: dict[str, Callable[[Path], None]] = {
    "1x1.png": _saved(np.zeros((1, 1, 3), np.uint8)),
    "thin.png": _saved(np.zeros((7, 200, 3), np.uint8)),
    "20,000 x 390.png": _saved(np.zeros((390, 20_000), np.uint8)),
}
