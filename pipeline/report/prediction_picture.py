"""One predicted image as a picture: pairs drawn and numbered, what they do listed below, so that nothing is hidden.

The human box is thick, the object box thin, a line joins their centres. A pair's verbs share its number and colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from pipeline.core.types import FloatArray
from pipeline.report.prediction_record import NamedDetection

Color = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]

MIN_SIDE, MAX_SIDE = 640, 1200  # pixels, longer side of the picture
# Okabe and Ito's palette, told apart by colour-blind readers too.
COLORS: tuple[Color, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
)
_INK, _PAPER, _HALO = (28, 28, 30), (255, 255, 255), (255, 255, 255)
_LINE = 22  # pixels between lines of text
_HUMAN_WIDTH, _OBJECT_WIDTH, _LINK_WIDTH, _BADGE_RADIUS = 4, 2, 2, 11


def draw_prediction(image: Image.Image, detections: Sequence[NamedDetection]) -> Image.Image:
    """Return the picture of one image, RGB; the image is enlarged or reduced to a readable size."""
    longer = max(image.size)
    scale = min(max(longer, MIN_SIDE), MAX_SIDE) / longer
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    pairs = _by_pair(detections)
    lines = [_line(entries) for entries in pairs] or ["no interaction found above the threshold"]
    width = max(size[0], *(round(_font(14).getlength(line)) + 44 for line in lines))
    picture = Image.new("RGB", (width, size[1] + 8 + _LINE * len(lines)), _PAPER)
    picture.paste(image.resize(size, Image.Resampling.LANCZOS), (0, 0))
    pen = ImageDraw.Draw(picture)
    for number, entries in reversed(list(enumerate(pairs))):  # the best pair lies on top
        _draw_pair(pen, entries[0], scale, size, number)
    for row, line in enumerate(lines):
        top = size[1] + 6 + row * _LINE
        if pairs:
            _draw_badge(pen, (16, top + 9), row)
        pen.text((34, top), line, fill=_INK, font=_font(14))
    return picture


def _by_pair(detections: Sequence[NamedDetection]) -> list[list[NamedDetection]]:
    """Detections of the same two boxes together, in the order of each pair's best."""
    pairs: dict[tuple[float, ...], list[NamedDetection]] = {}
    for entry in detections:
        pairs.setdefault((*entry.human_box.tolist(), *entry.object_box.tolist()), []).append(entry)
    return list(pairs.values())


def _line(entries: Sequence[NamedDetection]) -> str:
    names = (f"{entry.verb} {entry.object_name}".replace("_", " ") for entry in entries)
    return "   ".join(f"{name} {entry.score:#.2g}" for name, entry in zip(names, entries, strict=True))


def _draw_pair(
    pen: ImageDraw.ImageDraw, entry: NamedDetection, scale: float, size: tuple[int, int], number: int
) -> None:
    human, partner = _rectangle(entry.human_box, scale, size), _rectangle(entry.object_box, scale, size)
    link = (*_center(human), *_center(partner))
    color = COLORS[number % len(COLORS)]
    for extra, tone in ((2, _HALO), (0, color)):
        pen.line(link, fill=tone, width=_LINK_WIDTH + extra)
        pen.rectangle(partner, outline=tone, width=_OBJECT_WIDTH + extra)
        pen.rectangle(human, outline=tone, width=_HUMAN_WIDTH + extra)
    _draw_badge(pen, ((link[0] + link[2]) / 2, (link[1] + link[3]) / 2), number)


def _rectangle(box: FloatArray, scale: float, size: tuple[int, int]) -> Rectangle:
    """Box in the picture's pixels, inside it."""
    right, bottom = size[0] - 1, size[1] - 1
    x1, y1, x2, y2 = (float(value) * scale for value in box)
    return min(max(x1, 0), right), min(max(y1, 0), bottom), min(max(x2, 0), right), min(max(y2, 0), bottom)


def _center(rectangle: Rectangle) -> tuple[float, float]:
    x1, y1, x2, y2 = rectangle
    return (x1 + x2) / 2, (y1 + y2) / 2


def _draw_badge(pen: ImageDraw.ImageDraw, center: tuple[float, float], number: int) -> None:
    (x, y), radius = center, _BADGE_RADIUS
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLORS[number % len(COLORS)], outline=_PAPER)
    pen.text((x, y), str(number + 1), fill=_PAPER, font=_font(13), anchor="mm")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: the same glyphs on every machine."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
