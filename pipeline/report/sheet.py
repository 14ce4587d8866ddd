"""The contact sheet: test images with their pairs drawn on, as one PNG.

Every image is fitted into a tile, small ones enlarged and large ones reduced; pairs are numbered, and their labels
stand under the picture, so that nothing is hidden. Right is green, wrong red, missed amber and dashed; a mark says the
same without color. The human box is thick, the object box thin, a line joins their centers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from PIL import Image, ImageDraw, ImageFont

from pipeline.report.colors import FAINT, INK, PAPER, VERDICT_TEXTS, VERDICTS
from pipeline.report.drawing import Point, Rectangle, center, draw_badge, filled, letters, placed, scaled
from pipeline.report.number_text import score_text
from pipeline.report.selection import DrawnPair, Label, Verdict

_MARKS: dict[Verdict, str] = {"right": "✓", "wrong": "✗", "missed": "\N{EN DASH}", "found": "•"}
_LEGEND: dict[Verdict, str] = {
    "right": "right",
    "wrong": "wrong (2nd: a second detection of an annotated pair)",
    "missed": "annotated, not among the detections shown",
}
_LEGEND_OF_FOUND: dict[Verdict, str] = {"found": "found; nothing is annotated that could tell right from wrong"}
_STACK: tuple[Verdict, ...] = ("found", "missed", "wrong", "right")  # drawn in this order: right ones on top
_HALO = f"{PAPER}96"  # see-through

TILE = 320  # pixels, longer side of a picture
TILES_PER_ROW = 4
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
    """One picture of the sheet: what stands above it, pixels as stored (RGB), and the pairs to draw."""

    heading: str
    image: Image.Image
    pairs: tuple[DrawnPair, ...]


def contact_sheet(images: Sequence[SheetImage], *, title: str, caption: str, judged: bool = True) -> Image.Image:
    """Lay out all pictures with title, caption and legend; RGB. `judged`: verdicts are right, wrong and missed."""
    tiles = [_captioned(entry) for entry in images]
    columns = max(1, min(TILES_PER_ROW, len(tiles)))
    width = max(2, columns) * (TILE + _MARGIN) + _MARGIN
    head = _heading(title, caption, width, _LEGEND if judged else _LEGEND_OF_FOUND)
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) + _MARGIN for row in rows]
    sheet = Image.new("RGB", (width, head.height + sum(heights)), PAPER)
    sheet.paste(head, (0, 0))
    top = head.height
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (_MARGIN + column * (TILE + _MARGIN), top))
        top += height
    return sheet


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
    picture, zoom = scaled(image, scale).convert("RGBA"), scale * _OVERSAMPLING
    shapes = Image.new("RGBA", (picture.width * _OVERSAMPLING, picture.height * _OVERSAMPLING), (0, 0, 0, 0))
    pen = ImageDraw.Draw(shapes)
    for pair in sorted(pairs, key=lambda pair: _STACK.index(pair.verdict)):
        _draw_pair(pen, pair, zoom, shapes.size)
    taken: list[Point] = []
    for number, pair in enumerate(pairs, start=1):
        taken.append(_badge_place(pair, zoom, taken))
        font = letters(11 * _OVERSAMPLING, bold=True)
        draw_badge(pen, taken[-1], str(number), VERDICTS[pair.verdict], _BADGE_RADIUS * _OVERSAMPLING, font)
    picture.alpha_composite(shapes.resize(picture.size, Image.Resampling.BOX))
    return picture.convert("RGB")


def _draw_pair(pen: ImageDraw.ImageDraw, pair: DrawnPair, zoom: float, size: tuple[int, int]) -> None:
    """Line between the centers, then both boxes, on light halos that keep them apart from the picture."""
    inset = _HUMAN_WIDTH * _OVERSAMPLING / 2  # so that the outer half of a stroke stays visible
    human, partner = (placed(box, zoom, size, inset) for box in (pair.human_box, pair.object_box))
    lines = [((center(human), center(partner)), _LINK_WIDTH)]
    lines += [(side, _OBJECT_WIDTH) for side in _sides(partner)]
    lines += [(side, _HUMAN_WIDTH) for side in _sides(human)]
    for line, width in lines:
        pen.line(line, fill=_HALO, width=(width + 2) * _OVERSAMPLING)
    for line, width in lines:
        for dash in _dashes(*line, _DASH * _OVERSAMPLING) if pair.verdict == "missed" else (line,):
            pen.line(dash, fill=VERDICTS[pair.verdict], width=width * _OVERSAMPLING)


def _sides(rectangle: Rectangle) -> list[tuple[Point, Point]]:
    x1, y1, x2, y2 = rectangle
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    return list(zip(corners, [*corners[1:], corners[0]], strict=True))


def _dashes(start: Point, end: Point, step: float) -> Iterator[tuple[Point, Point]]:
    """Cut a line into dashes of `step` pixels with gaps of the same length."""
    (x1, y1), (x2, y2) = start, end
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    for index in range(0, ceil(length / step), 2):
        first, last = (min(1.0, place * step / max(length, 1e-9)) for place in (index, index + 1))
        yield (x1 + (x2 - x1) * first, y1 + (y2 - y1) * first), (x1 + (x2 - x1) * last, y1 + (y2 - y1) * last)


def _badge_place(pair: DrawnPair, zoom: float, taken: Iterable[Point]) -> Point:
    """A point on the line between the centers that no earlier badge covers, the middle if all are."""
    (x1, y1), (x2, y2) = ([zoom * value for value in center(box.tolist())] for box in (pair.human_box, pair.object_box))
    reach = 6 * _BADGE_RADIUS * _OVERSAMPLING
    if abs(x2 - x1) + abs(y2 - y1) < reach:  # too short a line: stack along the vertical
        y1, y2 = (y1 + y2 - reach) / 2, (y1 + y2 + reach) / 2
    places = [(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part) for part in _BADGE_PLACES]
    apart = (2 * _BADGE_RADIUS * _OVERSAMPLING) ** 2
    free = ((x, y) for x, y in places if all((x - other[0]) ** 2 + (y - other[1]) ** 2 >= apart for other in taken))
    return next(free, places[0])


def _captioned(entry: SheetImage) -> Image.Image:
    """A picture with its heading above and the labels of its pairs below."""
    picture = draw_pairs(entry.image, entry.pairs)
    lines = [line for number, pair in enumerate(entry.pairs, 1) for line in _label_lines(number, pair)]
    tile = Image.new("RGB", (TILE, _LINE + picture.height + 4 + _LINE * len(lines)), PAPER)
    pen = ImageDraw.Draw(tile)
    note = "" if entry.pairs else "  nothing annotated, nothing shown"
    pen.text((0, 1), entry.heading + note, fill=FAINT, font=letters(11))
    tile.paste(picture, (0, _LINE))
    for row, line in enumerate(lines):
        top = _LINE + picture.height + 4 + row * _LINE
        for x, text, color, bold in line:
            pen.text((x, top), text, fill=color, font=letters(12, bold=bold))
    return tile


_Line = list[tuple[float, str, str, bool]]  # x in pixels, text, color, bold


def _label_lines(number: int, pair: DrawnPair) -> list[_Line]:
    """Set the labels of a pair, wrapped to the tile's width, with the pair's number before the first."""
    font, indent = letters(12), 22.0
    lines: list[_Line] = [[(4.0, str(number), VERDICT_TEXTS[pair.verdict], True)]]
    x = indent
    for label in pair.labels:
        text = label_text(label)
        width = font.getlength(text)
        if x > indent and x + width > TILE:
            lines.append([])
            x = indent
        lines[-1].append((x, _shortened(text, font, TILE - x), VERDICT_TEXTS[label.verdict], False))
        x += width + 12
    return lines


def label_text(label: Label) -> str:
    """A label as it is printed: mark, name in words, score, and whether it repeats another detection."""
    score = "" if label.score is None else f" {score_text(label.score)}"
    return f"{_MARKS[label.verdict]} {label.name.replace('_', ' ')}{score}{' 2nd' if label.repeated else ''}"


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    while font.getlength(text) > width and len(text) > 1:
        text = text[:-2] + "…"
    return text


def _heading(title: str, caption: str, width: int, legend: Mapping[Verdict, str]) -> Image.Image:
    lines = filled(caption.split(), " ", lambda text: letters(12).getlength(text) <= width - 2 * _MARGIN)
    head = Image.new("RGB", (width, 46 + _LINE * len(lines) + 34), PAPER)
    pen = ImageDraw.Draw(head)
    pen.text((_MARGIN, 14), title, fill=INK, font=letters(18, bold=True))
    for row, line in enumerate(lines):
        pen.text((_MARGIN, 44 + row * _LINE), line, fill=FAINT, font=letters(12))
    _draw_legend(pen, 44 + _LINE * len(lines) + 8, legend)
    return head


def _draw_legend(pen: ImageDraw.ImageDraw, top: int, legend: Mapping[Verdict, str]) -> None:
    x, font = float(_MARGIN), letters(12)
    for verdict, meaning in legend.items():
        line = ((x, top + 8.0), (x + 28, top + 8.0))
        for start, end in _dashes(*line, _DASH) if verdict == "missed" else (line,):
            pen.line((start, end), fill=VERDICTS[verdict], width=_HUMAN_WIDTH)
        text = f"{_MARKS[verdict]} {meaning}"
        pen.text((x + 34, top), text, fill=VERDICT_TEXTS[verdict], font=font)
        x += 34 + font.getlength(text) + 22
    for name, width in (("human", _HUMAN_WIDTH), ("object", 1)):
        pen.rectangle((x, top + 1, x + 14, top + 15), outline=INK, width=width)
        pen.text((x + 20, top), name, fill=INK, font=font)
        x += 20 + font.getlength(name) + 14
