"""What pictures with boxes share: fonts, boxes in the picture's pixels, numbered badges, and encoding."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.core.types import FloatArray
from pipeline.report.colors import PAPER

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]


@cache
def letters(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: the same glyphs on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def filled(texts: Sequence[str], gap: str, fits: Callable[[str], bool]) -> list[str]:
    """Lines of texts one after the other, a new line before each that does not fit."""
    lines: list[str] = []
    for text in texts:
        if lines and fits(longer := lines[-1] + gap + text):
            lines[-1] = longer
        else:
            lines.append(text)
    return lines


def scaled(image: Image.Image, scale: float) -> Image.Image:
    """The image enlarged or reduced, RGB, at least one pixel each way."""
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def placed(box: FloatArray, scale: float, size: tuple[int, int], inset: float = 0) -> Rectangle:
    """A box of the image in pixels of its enlarged picture, cut off `inset` pixels inside the picture's border."""
    right, bottom = (side - 1 - inset for side in size)
    x1, y1, x2, y2 = np.clip(box.astype(np.float64) * scale, inset, [right, bottom, right, bottom]).tolist()
    return x1, y1, x2, y2


def center(box: Sequence[float]) -> Point:
    """Center of x1, y1, x2, y2."""
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2


def draw_badge(
    pen: ImageDraw.ImageDraw, place: Point, text: str, color: str, radius: int, font: ImageFont.FreeTypeFont
) -> None:
    """Draw a disk with a light rim, and a pair's number in it."""
    (x, y), rim = place, max(1, radius // 8)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=PAPER, width=rim)
    pen.text((x, y), text, fill=PAPER, font=font, anchor="mm")


def jpeg_bytes(image: Image.Image, quality: int = 85, *, subsampling: int = 0, comment: bytes = b"") -> bytes:
    """Encode as JPEG without metadata but for a comment: equal pixels give equal bytes.

    Not with optimize=True: Pillow then fails on a picture of noise, whose JPEG is larger than its buffer.

    Args:
        subsampling: of the chroma channels, as Pillow counts it; 0: none, for any would smear thin colored lines.
    """
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=quality, subsampling=subsampling, comment=comment)
    return stream.getvalue()


def png_bytes(image: Image.Image) -> bytes:
    """Encode as PNG without metadata: equal pixels give equal bytes."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
