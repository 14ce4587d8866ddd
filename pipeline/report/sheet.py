"""The contact sheet: test images with their pairs drawn on, as one PNG.

Every image is fitted into a tile, small ones enlarged and large ones reduced; pairs are numbered, and their labels
stand under the picture, so that nothing is hidden. Right is green, wrong red, missed amber and dashed; a mark says the
same without colour. The human box is thick, the object box thin, a line joins their centres.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from pipeline.core.types import FloatArray
from pipeline.report.selection import DrawnPair, Label, Verdict

Color = tuple[int, int, int]
Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]

COLORS: dict[Verdict, Color] = {"right": (0, 158, 115), "wrong": (214, 39, 40), "missed": (240, 163, 10)}
_TEXT_COLORS: dict[Verdict, Color] = {"right": (0, 112, 82), "wrong": (181, 22, 28), "missed": (148, 94, 0)}
_MARKS: dict[Verdict, str] = {"right": "✓", "wrong": "✗", "missed": "\N{EN DASH}"}
_LEGEND: dict[Verdict, str] = {
    "right": "right",
    "wrong": "wrong (2nd: a second detection of an annotated pair)",
    "missed": "annotated, not among the detections shown",
}
_INK, _FAINT, _PAPER, _HALO = (28, 28, 30), (112, 112, 118), (255, 255, 255), (255, 255, 255, 150)

TILE = 320  # pixels, longer side of a picture
COLUMNS = 4
PREVIEW_WIDTH = 1000  # pixels
_MARGIN = 14
_LINE = 18  # pixels between lines of text
_OVERSAMPLING = 2  # shapes are drawn this much larger, then reduced: smooth lines
_HUMAN_WIDTH, _OBJECT_WIDTH, _LINK_WIDTH = 3, 2, 2
_DASH = 7  # pixels on, then as many off
_BADGE_RADIUS = 8
_BADGE_PLACES = (0.5, 0.68, 0.32, 0.86, 0.14)  # along the line from human to object


@dataclass(frozen=True)
class SheetImage:
    """One picture of the sheet: what stands above it, pixels as stored (RGB), and the pairs to draw.

    `show_factors`: print the parts of a score in place of the score.
    """

    heading: str
    image: Image.Image
    pairs: tuple[DrawnPair, ...]
    show_factors: bool = False


def contact_sheet(images: Sequence[SheetImage], *, title: str, caption: str) -> Image.Image:
    """Lay out all pictures with title, caption and legend; RGB."""
    tiles = [_captioned(entry) for entry in images]
    columns = max(1, min(COLUMNS, len(tiles)))
    width = max(2, columns) * (TILE + _MARGIN) + _MARGIN
    head = _heading(title, caption, width)
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    height = head.height + sum(max(tile.height for tile in row) + _MARGIN for row in rows)
    sheet = Image.new("RGB", (width, height), _PAPER)
    sheet.paste(head, (0, 0))
    top = head.height
    for row in rows:
        for column, tile in enumerate(row):
            sheet.paste(tile, (_MARGIN + column * (TILE + _MARGIN), top))
        top += max(tile.height for tile in row) + _MARGIN
    return sheet


def jpeg_bytes(image: Image.Image, quality: int = 85) -> bytes:
    """Encode as JPEG without chroma subsampling, which would smear thin coloured lines: a quarter of the PNG."""
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=quality, subsampling=0, optimize=True)
    return stream.getvalue()


def png_bytes(image: Image.Image) -> bytes:
    """Encode as PNG without metadata: equal pixels give equal bytes."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def preview(image: Image.Image) -> Image.Image:
    """The sheet at no more than `PREVIEW_WIDTH` pixels across."""
    height = round(image.height * PREVIEW_WIDTH / image.width)
    return image if image.width <= PREVIEW_WIDTH else image.resize((PREVIEW_WIDTH, height), Image.Resampling.LANCZOS)


def fitted_scale(width: int, height: int) -> float:
    """Factor that brings the longer side of an image to the tile's side."""
    return TILE / max(width, height)


def draw_pairs(image: Image.Image, pairs: Sequence[DrawnPair]) -> Image.Image:
    """Fit an image into the tile and draw its pairs, missed ones lowest, right ones on top; RGB."""
    scale = fitted_scale(*image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    picture = image.convert("RGB").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    shapes = Image.new("RGBA", (size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING), (0, 0, 0, 0))
    pen = ImageDraw.Draw(shapes)
    order: dict[Verdict, int] = {"missed": 0, "wrong": 1, "right": 2}
    zoom = scale * _OVERSAMPLING
    for pair in sorted(pairs, key=lambda pair: order[pair.verdict]):
        _draw_pair(pen, pair, zoom)
    taken: list[Point] = []
    for number, pair in enumerate(pairs, start=1):
        taken.append(_badge_place(pair, zoom, taken))
        _draw_badge(pen, taken[-1], number, COLORS[pair.verdict])
    picture.alpha_composite(shapes.resize(size, Image.Resampling.BOX))
    return picture.convert("RGB")


def _draw_pair(pen: ImageDraw.ImageDraw, pair: DrawnPair, zoom: float) -> None:
    """Line between the centres, then both boxes, on light halos that keep them apart from the picture."""
    human, partner = _rectangle(pair.human_box, zoom, pen), _rectangle(pair.object_box, zoom, pen)
    lines = [((_center(human), _center(partner)), _LINK_WIDTH)]
    lines += [(side, _OBJECT_WIDTH) for side in _sides(partner)]
    lines += [(side, _HUMAN_WIDTH) for side in _sides(human)]
    for line, width in lines:
        pen.line(line, fill=_HALO, width=(width + 2) * _OVERSAMPLING)
    for line, width in lines:
        for dash in _dashes(*line) if pair.verdict == "missed" else (line,):
            pen.line(dash, fill=COLORS[pair.verdict], width=width * _OVERSAMPLING)


def _rectangle(box: FloatArray, zoom: float, pen: ImageDraw.ImageDraw) -> Rectangle:
    """Box in canvas pixels, kept so far inside that the stroke's outer half stays visible."""
    inset = _HUMAN_WIDTH * _OVERSAMPLING / 2
    right, bottom = pen.im.size[0] - 1 - inset, pen.im.size[1] - 1 - inset
    x1, y1, x2, y2 = (float(value) * zoom for value in box)
    return (
        min(max(x1, inset), right),
        min(max(y1, inset), bottom),
        min(max(x2, inset), right),
        min(max(y2, inset), bottom),
    )


def _center(rectangle: Rectangle) -> Point:
    x1, y1, x2, y2 = rectangle
    return (x1 + x2) / 2, (y1 + y2) / 2


def _sides(rectangle: Rectangle) -> list[tuple[Point, Point]]:
    x1, y1, x2, y2 = rectangle
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    return list(zip(corners, [*corners[1:], corners[0]], strict=True))


def _dashes(start: Point, end: Point) -> Iterator[tuple[Point, Point]]:
    """Cut a line into dashes with gaps of the same length."""
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    step = _DASH * _OVERSAMPLING
    for index in range(0, int(length / step) + 1, 2):
        ends = [min(1.0, place * step / max(length, 1e-9)) for place in (index, index + 1)]
        first, second = (
            (start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part) for part in ends
        )
        yield first, second


def _badge_place(pair: DrawnPair, zoom: float, taken: Iterable[Point]) -> Point:
    """A point on the line between the centres that no earlier badge covers, the middle if all are."""
    (x1, y1), (x2, y2) = (
        ((float(box[0]) + float(box[2])) / 2 * zoom, (float(box[1]) + float(box[3])) / 2 * zoom)
        for box in (pair.human_box, pair.object_box)
    )
    if abs(x2 - x1) + abs(y2 - y1) < 6 * _BADGE_RADIUS * _OVERSAMPLING:  # too short a line: stack along the vertical
        reach = 6 * _BADGE_RADIUS * _OVERSAMPLING
        y1, y2 = (y1 + y2 - reach) / 2, (y1 + y2 + reach) / 2
    places = [(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part) for part in _BADGE_PLACES]
    apart = (2 * _BADGE_RADIUS * _OVERSAMPLING) ** 2
    free = ((x, y) for x, y in places if all((x - other[0]) ** 2 + (y - other[1]) ** 2 >= apart for other in taken))
    return next(free, places[0])


def _draw_badge(pen: ImageDraw.ImageDraw, center: Point, number: int, color: Color) -> None:
    radius, (x, y) = _BADGE_RADIUS * _OVERSAMPLING, center
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=_PAPER, width=_OVERSAMPLING)
    pen.text((x, y), str(number), fill=_PAPER, font=_font(11 * _OVERSAMPLING, bold=True), anchor="mm")


def _captioned(entry: SheetImage) -> Image.Image:
    """A picture with its heading above and the labels of its pairs below."""
    picture = draw_pairs(entry.image, entry.pairs)
    lines = [
        line for number, pair in enumerate(entry.pairs, 1) for line in _label_lines(number, pair, entry.show_factors)
    ]
    tile = Image.new("RGB", (TILE, _LINE + picture.height + 4 + _LINE * len(lines)), _PAPER)
    pen = ImageDraw.Draw(tile)
    note = "" if entry.pairs else "  nothing annotated, nothing shown"
    pen.text((0, 1), entry.heading + note, fill=_FAINT, font=_font(11))
    tile.paste(picture, (0, _LINE))
    for row, line in enumerate(lines):
        top = _LINE + picture.height + 4 + row * _LINE
        for x, text, color, bold in line:
            pen.text((x, top), text, fill=color, font=_font(12, bold=bold))
    return tile


_Line = list[tuple[float, str, Color, bool]]  # x in pixels, text, colour, bold


def _label_lines(number: int, pair: DrawnPair, show_factors: bool) -> list[_Line]:
    """Set the labels of a pair, wrapped to the tile's width, with the pair's number before the first."""
    font, indent = _font(12), 22.0
    lines: list[_Line] = [[(4.0, str(number), _TEXT_COLORS[pair.verdict], True)]]
    x = indent
    for label in pair.labels:
        text = label_text(label, show_factors=show_factors)
        width = font.getlength(text)
        if x > indent and x + width > TILE:
            lines.append([])
            x = indent
        lines[-1].append((x, _shortened(text, font, TILE - x), _TEXT_COLORS[label.verdict], False))
        x += width + 12
    return lines


def label_text(label: Label, *, show_factors: bool = False) -> str:
    """A label as it is printed: mark, name in words, score or its factors, and whether it repeats another detection."""
    scores = label.factors if show_factors else [label.score]
    score = "".join(f" {format_score(value)}" for value in scores if value is not None)
    return f"{_MARKS[label.verdict]} {label.name.replace('_', ' ')}{score}{' 2nd' if label.repeated else ''}"


def format_score(score: float) -> str:
    """Two decimals, or two significant digits where those would say too little."""
    return f"{score:.2f}" if score >= 0.1 else f"{score:#.2g}"


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    while font.getlength(text) > width and len(text) > 1:
        text = text[:-2] + "…"
    return text


def _heading(title: str, caption: str, width: int) -> Image.Image:
    lines = _wrapped(caption, _font(12), width - 2 * _MARGIN)
    head = Image.new("RGB", (width, 46 + _LINE * len(lines) + 34), _PAPER)
    pen = ImageDraw.Draw(head)
    pen.text((_MARGIN, 14), title, fill=_INK, font=_font(18, bold=True))
    for row, line in enumerate(lines):
        pen.text((_MARGIN, 44 + row * _LINE), line, fill=_FAINT, font=_font(12))
    _draw_legend(pen, 44 + _LINE * len(lines) + 8)
    return head


def _draw_legend(pen: ImageDraw.ImageDraw, top: int) -> None:
    x, font = float(_MARGIN), _font(12)
    for verdict, meaning in _LEGEND.items():
        line = ((x, top + 8.0), (x + 28, top + 8.0))
        for start, end in _dashes_of_legend(line) if verdict == "missed" else (line,):
            pen.line((start, end), fill=COLORS[verdict], width=_HUMAN_WIDTH)
        text = f"{_MARKS[verdict]} {meaning}"
        pen.text((x + 34, top), text, fill=_TEXT_COLORS[verdict], font=font)
        x += 34 + font.getlength(text) + 22
    pen.rectangle((x, top + 1, x + 14, top + 15), outline=_INK, width=_HUMAN_WIDTH)
    pen.text((x + 20, top), "human", fill=_INK, font=font)
    x += 20 + font.getlength("human") + 14
    pen.rectangle((x, top + 1, x + 14, top + 15), outline=_INK, width=1)
    pen.text((x + 20, top), "object", fill=_INK, font=font)


def _dashes_of_legend(line: tuple[Point, Point]) -> Iterator[tuple[Point, Point]]:
    (x1, y), (x2, _) = line
    for start in range(int(x1), int(x2), 2 * _DASH):
        yield (start, y), (min(start + _DASH, x2), y)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break text at spaces so that each line fits the width in pixels."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: the same glyphs on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
