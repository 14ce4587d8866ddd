"""Named colors of the synthetic world: what captions say and what is drawn."""

from __future__ import annotations

from random import Random

from pipeline.toyworld.shapes import Color

COLORS: dict[str, Color] = {
    "red": (205, 38, 38),
    "orange": (238, 132, 30),
    "yellow": (238, 205, 48),
    "green": (42, 140, 60),
    "blue": (40, 78, 200),
    "purple": (128, 52, 160),
    "pink": (240, 130, 170),
    "white": (240, 240, 236),
    "black": (28, 28, 32),
    "brown": (124, 76, 38),
    "gray": (128, 128, 132),
}
CLOTHES = tuple(COLORS)
SKINS: tuple[Color, ...] = ((244, 208, 178), (226, 178, 136), (192, 138, 96), (144, 96, 62), (96, 62, 42))
HAIRS: tuple[Color, ...] = ((30, 24, 22), (82, 52, 30), (150, 104, 52), (212, 176, 104), (150, 148, 146))


def shaded(color: Color, factor: float) -> Color:
    """Return a darker (factor < 1) or lighter color."""
    red, green, blue = (max(0, min(255, round(channel * factor))) for channel in color)
    return red, green, blue


def jittered(name: str, random: Random, spread: int = 16) -> Color:
    """Return a named color, each channel moved by at most `spread`."""
    red, green, blue = (max(0, min(255, channel + random.randint(-spread, spread))) for channel in COLORS[name])
    return red, green, blue
