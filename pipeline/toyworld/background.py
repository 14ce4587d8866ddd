"""Backgrounds: a wall, a ground, clutter that resembles nothing in the vocabulary, and sensor noise."""

from __future__ import annotations

import math
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from pipeline.toyworld.shapes import Color


def _color(random: Random, low: int, high: int) -> Color:
    return random.randint(low, high), random.randint(low, high), random.randint(low, high)


def _blended(color: Color, other: Color, weight: float) -> Color:
    red, green, blue = (round(a * (1 - weight) + b * weight) for a, b in zip(color, other, strict=True))
    return red, green, blue


def draw_background(size: int, random: Random) -> tuple[Image.Image, ImageDraw.ImageDraw, float]:
    """Return a canvas of size x size pixels, its drawing handle, and the horizon as a fraction of the height."""
    wall, ground = _color(random, 85, 225), _color(random, 70, 190)
    image = Image.new("RGB", (size, size), wall)
    canvas = ImageDraw.Draw(image)
    horizon = random.uniform(0.35, 0.6)
    canvas.rectangle((0, horizon * size, size, size), fill=ground)
    for _ in range(random.randint(5, 11)):
        _draw_clutter(canvas, size, wall, random)
    return image, canvas, horizon


def _draw_clutter(canvas: ImageDraw.ImageDraw, size: int, wall: Color, random: Random) -> None:
    color = _blended(_color(random, 20, 245), wall, random.uniform(0.35, 0.75))
    x, y = random.uniform(0, size), random.uniform(0, size)
    width, height = random.uniform(0.03, 0.16) * size, random.uniform(0.03, 0.16) * size
    kind = random.randrange(5)
    if kind == 0:
        canvas.rectangle((x, y, x + width, y + height), fill=color)
    elif kind == 1:
        canvas.ellipse((x, y, x + width, y + height), fill=color)
    elif kind == 2:
        canvas.polygon(((x, y + height), (x + width, y + height), (x + width / 2, y)), fill=color)
    else:
        turn = random.uniform(0, math.pi)
        end = (x + 1.5 * width * math.cos(turn), y + 1.5 * width * math.sin(turn))
        canvas.line((x, y, *end), fill=color, width=max(1, round(size * random.uniform(0.006, 0.018))))


def add_noise(image: Image.Image, generator: np.random.Generator, amplitude: int) -> Image.Image:
    """Return the image with uniform noise in [-amplitude, amplitude] on each channel."""
    pixels = np.asarray(image, dtype=np.int16)
    noise = generator.integers(-amplitude, amplitude + 1, size=pixels.shape, dtype=np.int8)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))
