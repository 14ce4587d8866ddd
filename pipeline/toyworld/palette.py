"""Named colours of the synthetic world: what captions say and what is drawn."""

from __future__ import annotations

from random import Random

from pipeline.toyworld.shapes import Colour

COLOURS: dict[str, Colour] = {
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
CLOTHES = tuple(COLOURS)
COLOURS_OF_OBJECT: dict[str, tuple[str, ...]] = {
    "bicycle": ("red", "blue", "green", "orange", "purple", "black", "yellow"),
    "horse": ("brown", "black", "white", "gray"),
    "ball": ("red", "blue", "yellow", "white", "orange", "green"),
    "cup": ("red", "blue", "green", "white", "yellow", "purple"),
    "chair": ("red", "blue", "brown", "gray", "green", "white"),
    "box": ("brown", "orange", "yellow", "gray", "white"),
    "dog": ("brown", "black", "white", "yellow", "gray"),
    "book": ("red", "blue", "green", "purple", "black", "orange"),
}
SKINS: tuple[Colour, ...] = ((244, 208, 178), (226, 178, 136), (192, 138, 96), (144, 96, 62), (96, 62, 42))
HAIRS: tuple[Colour, ...] = ((30, 24, 22), (82, 52, 30), (150, 104, 52), (212, 176, 104), (150, 148, 146))


def shaded(colour: Colour, factor: float) -> Colour:
    """Return a darker (factor < 1) or lighter colour."""
    red, green, blue = (max(0, min(255, round(channel * factor))) for channel in colour)
    return red, green, blue


def jittered(name: str, random: Random, spread: int = 16) -> Colour:
    """Return a named colour, each channel moved by at most `spread`."""
    red, green, blue = (max(0, min(255, channel + random.randint(-spread, spread))) for channel in COLOURS[name])
    return red, green, blue
