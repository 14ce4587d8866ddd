"""Sketches of the eight object categories, and the points where a person touches them.

Each faces +x and stands on y = 0 around x = 0; the unit is a standing person's height. A configuration may scale, turn
and mirror it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from pipeline.toyworld.palette import jittered, shaded
from pipeline.toyworld.shapes import Color, Point, Sketch, disc, ellipse, line, polygon, ring

SADDLE: Point = (-0.13, 0.48)
HANDLEBAR: Point = (0.23, 0.53)
CRANK: Point = (-0.02, 0.18)
HORSE_BACK: Point = (-0.04, 0.68)
HORSE_NECK: Point = (0.36, 0.82)
HORSE_MUZZLE: Point = (0.66, 0.72)
DOG_BACK: Point = (-0.02, 0.27)
DOG_HEAD: Point = (0.22, 0.40)
DOG_MUZZLE: Point = (0.36, 0.32)
DOG_COLLAR: Point = (0.16, 0.31)
BALL_RADIUS = 0.11
SEAT_HEIGHT = 0.28  # of the chair
CHAIR_BACK: Point = (-0.15, 0.58)
BOX_SIZE: Point = (0.34, 0.27)
CUP_SIZE: Point = (0.11, 0.14)
TYRE: Color = (34, 34, 38)


def _bicycle(color: Color, random: Random) -> Sketch:
    rear, front, turn = (-0.28, 0.18), (0.29, 0.18), random.uniform(0, math.pi)
    hub, head = CRANK, (0.19, 0.43)
    seat = (-0.11, 0.42)
    spokes: Sketch = []
    for center in (rear, front):
        for k in range(3):
            dx, dy = 0.17 * math.cos(turn + k * math.pi / 3), 0.17 * math.sin(turn + k * math.pi / 3)
            ends = ((center[0] - dx, center[1] - dy), (center[0] + dx, center[1] + dy))
            spokes.append(line(ends, 0.008, (120, 120, 124)))
    return [
        *spokes,
        ring(rear, 0.17, 0.03, TYRE),
        ring(front, 0.17, 0.03, TYRE),
        line((rear, hub, head, seat, rear), 0.036, color),
        line((seat, hub), 0.036, color),
        line((front, head, (0.17, 0.52), HANDLEBAR), 0.034, color),
        line((seat, (SADDLE[0], SADDLE[1] - 0.02)), 0.03, TYRE),
        line(((SADDLE[0] - 0.07, SADDLE[1] - 0.015), (SADDLE[0] + 0.05, SADDLE[1] - 0.015)), 0.04, TYRE),
    ]


def _animal_legs(xs: tuple[float, ...], height: float, stride: float, width: float, color: Color) -> Sketch:
    dark, legs = shaded(color, 0.7), []
    for k, x in enumerate(xs):
        shift = stride * (1 if k % 2 else -1)
        tone = dark if k % 2 else color
        legs.append(line(((x, height), (x + shift * 0.4, height * 0.5), (x + shift, width / 2)), width, tone))
    return legs


def _horse(color: Color, random: Random) -> Sketch:
    mane = shaded(color, 0.45) if sum(color) > 150 else (92, 84, 80)
    legs = _animal_legs((-0.27, -0.21, 0.2, 0.26), 0.5, random.uniform(-0.09, 0.09), 0.062, color)
    return [
        line(((-0.33, 0.62), (-0.43, 0.52), (-0.43, 0.32)), 0.05, mane),
        *legs[1::2],
        ellipse((-0.02, 0.57), (0.36, 0.135), color),
        polygon(((0.14, 0.64), (0.36, 0.90), (0.48, 0.86), (0.33, 0.53)), color),
        line(((0.42, 0.87), (0.60, 0.74)), 0.11, color),
        polygon(((0.38, 0.90), (0.40, 1.00), (0.45, 0.90)), color),
        line(((0.34, 0.90), (0.20, 0.70)), 0.05, mane),
        disc((0.46, 0.87), 0.016, (16, 16, 18)),
        *legs[0::2],
    ]


def _ball(color: Color, random: Random) -> Sketch:
    radius, turn = BALL_RADIUS, random.uniform(0, math.pi)
    dx, dy = radius * 0.93 * math.cos(turn), radius * 0.93 * math.sin(turn)
    mark = (30, 30, 34) if sum(color) > 330 else (238, 238, 234)
    return [
        disc((0, radius), radius, (24, 24, 28)),
        disc((0, radius), radius * 0.88, color),
        line(((-dx, radius - dy), (dx, radius + dy)), 0.018, mark),
        line(((dy, radius - dx), (-dy, radius + dx)), 0.018, mark),
    ]


def _cup(color: Color, random: Random) -> Sketch:
    half, height = CUP_SIZE[0] / 2, CUP_SIZE[1]
    rim = shaded(color, 0.55)
    return [
        ring((half + 0.01, height * 0.5), 0.035, 0.022, shaded(color, 0.8)),
        polygon(((-half * 0.75, 0), (half * 0.75, 0), (half, height), (-half, height)), color),
        line(((-half, height), (half, height)), 0.025, rim),
    ]


def _chair(color: Color, random: Random) -> Sketch:
    dark = shaded(color, 0.7)
    return [
        line(((-0.12, SEAT_HEIGHT), (-0.10, 0.02)), 0.036, dark),
        line(((0.11, SEAT_HEIGHT), (0.10, 0.02)), 0.036, dark),
        line(((-0.15, 0.60), (-0.14, SEAT_HEIGHT), (-0.16, 0.02)), 0.042, color),
        line(((0.14, SEAT_HEIGHT), (0.15, 0.02)), 0.042, color),
        line(((-0.15, SEAT_HEIGHT), (0.14, SEAT_HEIGHT)), 0.055, color),
        line(((-0.12, 0.56), (-0.11, 0.38)), 0.06, dark),
    ]


def _box(color: Color, random: Random) -> Sketch:
    half, height = BOX_SIZE[0] / 2, BOX_SIZE[1]
    tape, edge = shaded(color, 1.25), shaded(color, 0.6)
    outline = ((-half, 0.01), (half, 0.01), (half, height), (-half, height))
    return [
        polygon(outline, color),
        polygon(((-0.03, 0.01), (0.03, 0.01), (0.03, height), (-0.03, height)), tape),
        line((*outline, outline[0]), 0.02, edge),
        line(((-half, height * 0.72), (half, height * 0.72)), 0.016, edge),
    ]


def _dog(color: Color, random: Random) -> Sketch:
    dark = shaded(color, 0.62) if sum(color) > 150 else (84, 78, 76)
    legs = _animal_legs((-0.17, -0.13, 0.11, 0.15), 0.2, random.uniform(-0.05, 0.05), 0.05, color)
    wag = random.uniform(0.0, 0.12)
    return [
        line(((-0.19, 0.24), (-0.28, 0.30 + wag)), 0.04, color),
        *legs[1::2],
        line(((-0.15, 0.215), (0.13, 0.225)), 0.135, color),
        line(((0.13, 0.25), (0.21, 0.35)), 0.10, color),
        disc((0.22, 0.36), 0.072, color),
        line(((0.25, 0.345), (0.33, 0.325)), 0.06, color),
        disc((0.36, 0.335), 0.02, (18, 18, 20)),
        line(((0.19, 0.41), (0.15, 0.33)), 0.05, dark),
        disc((0.255, 0.38), 0.014, (18, 18, 20)),
        *legs[0::2],
    ]


def _book(color: Color, random: Random) -> Sketch:
    page, ink = (246, 244, 232), (128, 128, 132)
    if random.random() < 0.55:  # open, seen from the reader's side
        return [
            polygon(((-0.15, 0.0), (0, 0.035), (0.15, 0.0), (0.15, 0.165), (0, 0.20), (-0.15, 0.165)), color),
            polygon(((-0.13, 0.025), (0, 0.05), (0, 0.175), (-0.13, 0.15)), page),
            polygon(((0.13, 0.025), (0, 0.05), (0, 0.175), (0.13, 0.15)), page),
            line(((0, 0.05), (0, 0.175)), 0.014, ink),
        ]
    return [
        polygon(((-0.075, 0), (0.075, 0), (0.075, 0.2), (-0.075, 0.2)), color),
        polygon(((0.055, 0.012), (0.075, 0.012), (0.075, 0.188), (0.055, 0.188)), page),
        line(((-0.045, 0.14), (0.03, 0.14)), 0.022, page),
    ]


class Kind(NamedTuple):
    """What is drawn of a category: its sketch, the names of its colors, and its sizes.

    `sizes`: range of the scale, the same in every configuration and when idle. `half_width`: how far it reaches from
    the middle. `seat`: height at which one can sit or stand on it.
    """

    sketch: Callable[[Color, Random], Sketch]
    colors: tuple[str, ...]
    sizes: tuple[float, float]
    half_width: float
    seat: float = 0.0


KINDS = {
    "bicycle": Kind(_bicycle, ("red", "blue", "green", "orange", "purple", "black", "yellow"), (0.9, 1.1), 0.46),
    "horse": Kind(_horse, ("brown", "black", "white", "gray"), (0.9, 1.1), 0.5),
    # sitting on a ball needs a large one
    "ball": Kind(
        _ball, ("red", "blue", "yellow", "white", "orange", "green"), (0.8, 1.6), BALL_RADIUS, 2 * BALL_RADIUS
    ),
    "cup": Kind(_cup, ("red", "blue", "green", "white", "yellow", "purple"), (1.0, 1.4), 0.08),
    "chair": Kind(_chair, ("red", "blue", "brown", "gray", "green", "white"), (0.9, 1.15), 0.16, SEAT_HEIGHT),
    "box": Kind(_box, ("brown", "orange", "yellow", "gray", "white"), (0.75, 1.15), BOX_SIZE[0] / 2, BOX_SIZE[1]),
    "dog": Kind(_dog, ("brown", "black", "white", "yellow", "gray"), (0.9, 1.25), 0.3),
    "book": Kind(_book, ("red", "blue", "green", "purple", "black", "orange"), (0.95, 1.3), 0.15),
}


def draw_object(category: str, random: Random) -> tuple[Sketch, str]:
    """Return a sketch of an object of the category and the name of its color."""
    kind = KINDS[category]
    name = random.choice(kind.colors)
    return kind.sketch(jittered(name, random), random), name
