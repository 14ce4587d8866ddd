"""Drawing primitives of the synthetic world: strokes, discs, rings and polygons under similarity transforms.

Sketches live in local coordinates: x to the right, y up, the ground at y = 0, the unit being the height of a standing
person. `Similarity` takes them to pixels (y down). Layers order the primitives of one group, lowest first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from PIL import ImageDraw

Point = tuple[float, float]
Color = tuple[int, int, int]
Extent = tuple[float, float, float, float]  # x1, y1, x2, y2 in the coordinates of the primitives

CIRCLE = tuple((math.cos(k * math.pi / 9), math.sin(k * math.pi / 9)) for k in range(18))


class Similarity(NamedTuple):
    """x' = x0 + scale * (cos * mirror * x - sin * y), y' = y0 + rise * scale * (sin * mirror * x + cos * y).

    mirror is -1 for a sketch that faces left; rise is -1 where y' points down (pixels).
    """

    x0: float = 0.0
    y0: float = 0.0
    scale: float = 1.0
    angle: float = 0.0
    mirror: float = 1.0
    rise: float = 1.0

    def apply(self, points: Iterable[Point]) -> tuple[Point, ...]:
        """Map points."""
        cos, sin = self.scale * math.cos(self.angle), self.scale * math.sin(self.angle)
        x0, y0, mirror, rise = self.x0, self.y0, self.mirror, self.rise
        return tuple((x0 + cos * mirror * x - sin * y, y0 + rise * (sin * mirror * x + cos * y)) for x, y in points)


class Primitive(NamedTuple):
    """One drawn thing. radius: half the stroke width of a line, the radius of a disc or ring, 0 for a polygon."""

    kind: str  # "line", "disc", "ring" or "polygon"
    points: tuple[Point, ...]
    radius: float
    color: Color
    layer: int
    stroke: float = 0.0  # of a ring


Sketch = list[Primitive]


def line(points: Sequence[Point], width: float, color: Color, layer: int = 0) -> Primitive:
    """Return a stroke with round ends."""
    return Primitive("line", tuple(points), width / 2, color, layer)


def disc(center: Point, radius: float, color: Color, layer: int = 0) -> Primitive:
    """Return a filled circle."""
    return Primitive("disc", (center,), radius, color, layer)


def ring(center: Point, radius: float, width: float, color: Color, layer: int = 0) -> Primitive:
    """Return a circle's outline."""
    return Primitive("ring", (center,), radius, color, layer, width)


def polygon(points: Sequence[Point], color: Color, layer: int = 0) -> Primitive:
    """Return a filled polygon."""
    return Primitive("polygon", tuple(points), 0.0, color, layer)


def ellipse(center: Point, radii: Point, color: Color, layer: int = 0) -> Primitive:
    """Return a filled ellipse as a polygon."""
    points = tuple((center[0] + radii[0] * u, center[1] + radii[1] * v) for u, v in CIRCLE)
    return Primitive("polygon", points, 0.0, color, layer)


def transform(sketch: Sketch, similarity: Similarity) -> Sketch:
    """Map a sketch to other coordinates."""
    return [
        primitive._replace(
            points=similarity.apply(primitive.points),
            radius=primitive.radius * similarity.scale,
            stroke=primitive.stroke * similarity.scale,
        )
        for primitive in sketch
    ]


def with_layer(sketch: Sketch, layer: int) -> Sketch:
    """Put a whole sketch on one layer."""
    return [primitive._replace(layer=layer) for primitive in sketch]


def extent(sketch: Sketch) -> Extent:
    """Return the tight extent of a sketch that is not empty, strokes included."""
    x1 = y1 = math.inf
    x2 = y2 = -math.inf
    for primitive in sketch:
        radius = primitive.radius + primitive.stroke / 2
        for x, y in primitive.points:
            x1, x2 = min(x1, x - radius), max(x2, x + radius)
            y1, y2 = min(y1, y - radius), max(y2, y + radius)
    return x1, y1, x2, y2


def paint(canvas: ImageDraw.ImageDraw, sketch: Sketch) -> None:
    """Draw a sketch in pixel coordinates, in its own order."""
    for kind, points, radius, color, _, stroke in sketch:
        if kind == "line":
            canvas.line(points, fill=color, width=max(1, round(2 * radius)))
            if radius > 1.5:
                for x, y in points:
                    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
        elif kind == "polygon":
            canvas.polygon(points, fill=color)
        else:
            x, y = points[0]
            reach = radius + stroke / 2
            box = (x - reach, y - reach, x + reach, y + reach)
            if kind == "disc":
                canvas.ellipse(box, fill=color)
            else:
                canvas.ellipse(box, outline=color, width=max(1, round(stroke)))
