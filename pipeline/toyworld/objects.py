"""Sketches of the eight object categories, and the points where a person touches them.

Each faces +x and stands on y = 0 around x = 0; the unit is a standing person's height. A configuration may scale, turn
and mirror it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from pipeline.toyworld.palette import COLOURS_OF_OBJECT, jittered, shaded
from pipeline.toyworld.shapes import Colour, Point, Sketch, disc, ellipse, line, polygon, ring

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
# What one can sit or stand on, and how far from the middle an object reaches.
SEAT_HEIGHTS = {"chair": SEAT_HEIGHT, "box": BOX_SIZE[1], "ball": 2 * BALL_RADIUS}
HALF_WIDTHS = {
    "bicycle": 0.46,
    "horse": 0.5,
    "ball": BALL_RADIUS,
    "cup": 0.08,
    "chair": 0.16,
    "box": BOX_SIZE[0] / 2,
    "dog": 0.3,
    "book": 0.15,
}
TYRE: Colour = (34, 34, 38)


def _bicycle(colour: Colour, random: Random) -> Sketch:
    rear, front, turn = (-0.28, 0.18), (0.29, 0.18), random.uniform(0, math.pi)
    hub, head = CRANK, (0.19, 0.43)
    seat = (-0.11, 0.42)
    spokes: Sketch = []
    for centre in (rear, front):
        for k in range(3):
            dx, dy = 0.17 * math.cos(turn + k * math.pi / 3), 0.17 * math.sin(turn + k * math.pi / 3)
            ends = ((centre[0] - dx, centre[1] - dy), (centre[0] + dx, centre[1] + dy))
            spokes.append(line(ends, 0.008, (120, 120, 124)))
    return [
        *spokes,
        ring(rear, 0.17, 0.03, TYRE),
        ring(front, 0.17, 0.03, TYRE),
        line((rear, hub, head, seat, rear), 0.036, colour),
        line((seat, hub), 0.036, colour),
        line((front, head, (0.17, 0.52), HANDLEBAR), 0.034, colour),
        line((seat, (SADDLE[0], SADDLE[1] - 0.02)), 0.03, TYRE),
        line(((SADDLE[0] - 0.07, SADDLE[1] - 0.015), (SADDLE[0] + 0.05, SADDLE[1] - 0.015)), 0.04, TYRE),
    ]


def _animal_legs(xs: tuple[float, ...], height: float, stride: float, width: float, colour: Colour) -> Sketch:
    dark, legs = shaded(colour, 0.7), []
    for k, x in enumerate(xs):
        shift = stride * (1 if k % 2 else -1)
        tone = dark if k % 2 else colour
        legs.append(line(((x, height), (x + shift * 0.4, height * 0.5), (x + shift, width / 2)), width, tone))
    return legs


def _horse(colour: Colour, random: Random) -> Sketch:
    mane = shaded(colour, 0.45) if sum(colour) > 150 else (92, 84, 80)
    legs = _animal_legs((-0.27, -0.21, 0.2, 0.26), 0.5, random.uniform(-0.09, 0.09), 0.062, colour)
    return [
        line(((-0.33, 0.62), (-0.43, 0.52), (-0.43, 0.32)), 0.05, mane),
        *legs[1::2],
        ellipse((-0.02, 0.57), (0.36, 0.135), colour),
        polygon(((0.14, 0.64), (0.36, 0.90), (0.48, 0.86), (0.33, 0.53)), colour),
        line(((0.42, 0.87), (0.60, 0.74)), 0.11, colour),
        polygon(((0.38, 0.90), (0.40, 1.00), (0.45, 0.90)), colour),
        line(((0.34, 0.90), (0.20, 0.70)), 0.05, mane),
        disc((0.46, 0.87), 0.016, (16, 16, 18)),
        *legs[0::2],
    ]


def _ball(colour: Colour, random: Random) -> Sketch:
    radius, turn = BALL_RADIUS, random.uniform(0, math.pi)
    dx, dy = radius * 0.93 * math.cos(turn), radius * 0.93 * math.sin(turn)
    mark = (30, 30, 34) if sum(colour) > 330 else (238, 238, 234)
    return [
        disc((0, radius), radius, (24, 24, 28)),
        disc((0, radius), radius * 0.88, colour),
        line(((-dx, radius - dy), (dx, radius + dy)), 0.018, mark),
        line(((dy, radius - dx), (-dy, radius + dx)), 0.018, mark),
    ]


def _cup(colour: Colour, random: Random) -> Sketch:
    half, height = CUP_SIZE[0] / 2, CUP_SIZE[1]
    rim = shaded(colour, 0.55)
    return [
        ring((half + 0.01, height * 0.5), 0.035, 0.022, shaded(colour, 0.8)),
        polygon(((-half * 0.75, 0), (half * 0.75, 0), (half, height), (-half, height)), colour),
        line(((-half, height), (half, height)), 0.025, rim),
    ]


def _chair(colour: Colour, random: Random) -> Sketch:
    dark = shaded(colour, 0.7)
    return [
        line(((-0.12, SEAT_HEIGHT), (-0.10, 0.02)), 0.036, dark),
        line(((0.11, SEAT_HEIGHT), (0.10, 0.02)), 0.036, dark),
        line(((-0.15, 0.60), (-0.14, SEAT_HEIGHT), (-0.16, 0.02)), 0.042, colour),
        line(((0.14, SEAT_HEIGHT), (0.15, 0.02)), 0.042, colour),
        line(((-0.15, SEAT_HEIGHT), (0.14, SEAT_HEIGHT)), 0.055, colour),
        line(((-0.12, 0.56), (-0.11, 0.38)), 0.06, dark),
    ]


def _box(colour: Colour, random: Random) -> Sketch:
    half, height = BOX_SIZE[0] / 2, BOX_SIZE[1]
    tape, edge = shaded(colour, 1.25), shaded(colour, 0.6)
    outline = ((-half, 0.01), (half, 0.01), (half, height), (-half, height))
    return [
        polygon(outline, colour),
        polygon(((-0.03, 0.01), (0.03, 0.01), (0.03, height), (-0.03, height)), tape),
        line((*outline, outline[0]), 0.02, edge),
        line(((-half, height * 0.72), (half, height * 0.72)), 0.016, edge),
    ]


def _dog(colour: Colour, random: Random) -> Sketch:
    dark = shaded(colour, 0.62) if sum(colour) > 150 else (84, 78, 76)
    legs = _animal_legs((-0.17, -0.13, 0.11, 0.15), 0.2, random.uniform(-0.05, 0.05), 0.05, colour)
    wag = random.uniform(0.0, 0.12)
    return [
        line(((-0.19, 0.24), (-0.28, 0.30 + wag)), 0.04, colour),
        *legs[1::2],
        line(((-0.15, 0.215), (0.13, 0.225)), 0.135, colour),
        line(((0.13, 0.25), (0.21, 0.35)), 0.10, colour),
        disc((0.22, 0.36), 0.072, colour),
        line(((0.25, 0.345), (0.33, 0.325)), 0.06, colour),
        disc((0.36, 0.335), 0.02, (18, 18, 20)),
        line(((0.19, 0.41), (0.15, 0.33)), 0.05, dark),
        disc((0.255, 0.38), 0.014, (18, 18, 20)),
        *legs[0::2],
    ]


def _book(colour: Colour, random: Random) -> Sketch:
    page, ink = (246, 244, 232), (128, 128, 132)
    if random.random() < 0.55:  # open, seen from the reader's side
        return [
            polygon(((-0.15, 0.0), (0, 0.035), (0.15, 0.0), (0.15, 0.165), (0, 0.20), (-0.15, 0.165)), colour),
            polygon(((-0.13, 0.025), (0, 0.05), (0, 0.175), (-0.13, 0.15)), page),
            polygon(((0.13, 0.025), (0, 0.05), (0, 0.175), (0.13, 0.15)), page),
            line(((0, 0.05), (0, 0.175)), 0.014, ink),
        ]
    return [
        polygon(((-0.075, 0), (0.075, 0), (0.075, 0.2), (-0.075, 0.2)), colour),
        polygon(((0.055, 0.012), (0.075, 0.012), (0.075, 0.188), (0.055, 0.188)), page),
        line(((-0.045, 0.14), (0.03, 0.14)), 0.022, page),
    ]


SKETCHES: dict[str, Callable[[Colour, Random], Sketch]] = {
    "bicycle": _bicycle,
    "horse": _horse,
    "ball": _ball,
    "cup": _cup,
    "chair": _chair,
    "box": _box,
    "dog": _dog,
    "book": _book,
}

# Scale range of each category, the same in every configuration and when idle (sitting on a ball needs a large one).
SIZES: dict[str, tuple[float, float]] = {
    "bicycle": (0.9, 1.1),
    "horse": (0.9, 1.1),
    "ball": (0.8, 1.6),
    "cup": (1.0, 1.4),
    "chair": (0.9, 1.15),
    "box": (0.75, 1.15),
    "dog": (0.9, 1.25),
    "book": (0.95, 1.3),
}


def draw_object(category: str, random: Random) -> tuple[Sketch, str]:
    """Return a sketch of an object of the category and the name of its colour."""
    name = random.choice(COLOURS_OF_OBJECT[category])
    return SKETCHES[category](jittered(name, random), random), name
