"""Articulated persons: a pose names where hips, hands and feet are, inverse kinematics finds knees and elbows.

Units: the height of a standing person is 1; a person faces +x, so "near" limbs are drawn over the torso and "far" limbs
behind it. Layers of a person's parts are the constants below; a configuration puts its object between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from pipeline.toyworld.palette import CLOTHES, HAIRS, SKINS, jittered, shaded
from pipeline.toyworld.shapes import Color, Point, Sketch, disc, ellipse, line, polygon

FAR_LIMBS, BEHIND_TORSO, TORSO, BEFORE_TORSO, NEAR_LIMBS, FRONT = 0, 10, 20, 30, 40, 50

THIGH, SHIN, TORSO_LENGTH, UPPER_ARM, FOREARM = 0.25, 0.24, 0.31, 0.17, 0.17
STANDING_HIP, HEAD_RADIUS, NECK = 0.49, 0.085, 0.10


@dataclass(frozen=True)
class Pose:
    """Where the end points of a person are; lean and nod in radians, forward positive."""

    hip: Point
    lean: float
    near_hand: Point
    far_hand: Point
    near_foot: Point
    far_foot: Point
    nod: float = 0.0

    @property
    def shoulder(self) -> Point:
        """Where both arms start."""
        return shoulder_of(self.hip, self.lean)

    @property
    def mouth(self) -> Point:
        """Front of the face, a little below its center."""
        (x, y), tilt = self.head, self.lean * 0.5 + self.nod
        return x + HEAD_RADIUS * math.cos(tilt + 0.5), y - HEAD_RADIUS * math.sin(tilt + 0.5)

    @property
    def head(self) -> Point:
        """Center of the head."""
        shoulder, tilt = self.shoulder, self.lean * 0.5 + self.nod * 0.6
        return shoulder[0] + NECK * math.sin(tilt) + 0.015, shoulder[1] + NECK * math.cos(tilt)


@dataclass(frozen=True)
class Appearance:
    """Colors of one person; shirt_name is what captions say."""

    shirt_name: str
    shirt: Color
    trousers: Color
    skin: Color
    hair: Color
    shoes: Color
    hat: Color | None
    sleeves: bool


def draw_appearance(random: Random) -> Appearance:
    """Draw clothes, skin, hair and perhaps a hat; shirt and trousers differ in color."""
    shirt = random.choice(CLOTHES)
    trousers = random.choice([name for name in CLOTHES if name != shirt])
    return Appearance(
        shirt_name=shirt,
        shirt=jittered(shirt, random),
        trousers=jittered(trousers, random),
        skin=random.choice(SKINS),
        hair=random.choice(HAIRS),
        shoes=random.choice(((30, 26, 26), (90, 60, 40), (220, 220, 220))),
        hat=jittered(random.choice(CLOTHES), random) if random.random() < 0.35 else None,
        sleeves=random.random() < 0.5,
    )


def shoulder_of(hip: Point, lean: float) -> Point:
    """Return where the shoulders of a torso are."""
    return hip[0] + TORSO_LENGTH * math.sin(lean), hip[1] + TORSO_LENGTH * math.cos(lean)


def two_link(root: Point, target: Point, first: float, second: float, bend: float) -> tuple[Point, Point]:
    """Inverse kinematics of two links: return (joint, end); the end is the target, or the nearest reachable point.

    bend is +1 for a joint left of the way from root to target (a knee), -1 for one right of it (an elbow).
    """
    dx, dy = target[0] - root[0], target[1] - root[1]
    wanted = math.hypot(dx, dy) or 1e-6
    reach = min(max(wanted, abs(first - second) + 0.02), first + second - 0.002)
    ux, uy = dx / wanted, dy / wanted
    along = (first**2 - second**2 + reach**2) / (2 * reach)
    aside = bend * math.sqrt(max(first**2 - along**2, 0.0))
    joint = (root[0] + ux * along - uy * aside, root[1] + uy * along + ux * aside)
    return joint, (root[0] + ux * reach, root[1] + uy * reach)


def _leg(hip: Point, target: Point, look: Appearance, factor: float, layer: int) -> Sketch:
    knee, ankle = two_link(hip, target, THIGH, SHIN, 1.0)
    trousers, shoes = shaded(look.trousers, factor), shaded(look.shoes, factor)
    return [
        line((hip, knee), 0.115, trousers, layer),
        line((knee, ankle), 0.095, trousers, layer),
        line(((ankle[0] - 0.01, ankle[1] + 0.02), (ankle[0] + 0.07, ankle[1] + 0.02)), 0.06, shoes, layer),
    ]


def _arm(shoulder: Point, target: Point, look: Appearance, factor: float, layer: int) -> Sketch:
    elbow, hand = two_link(shoulder, target, UPPER_ARM, FOREARM, -1.0)
    skin = shaded(look.skin, factor)
    fore = shaded(look.shirt, factor * 0.9) if look.sleeves else skin
    return [
        line((elbow, hand), 0.062, fore, layer),
        line((shoulder, elbow), 0.075, shaded(look.shirt, factor * 0.9), layer),
        disc(hand, 0.042, skin, layer),
    ]


def _head(pose: Pose, look: Appearance) -> Sketch:
    center, tilt = pose.head, pose.lean * 0.5 + pose.nod
    forward, up = (math.cos(tilt), -math.sin(tilt)), (math.sin(tilt), math.cos(tilt))

    def at(ahead: float, above: float) -> Point:
        ahead, above = ahead * HEAD_RADIUS, above * HEAD_RADIUS
        return center[0] + forward[0] * ahead + up[0] * above, center[1] + forward[1] * ahead + up[1] * above

    parts = [
        line((pose.shoulder, center), 0.06, look.skin, TORSO),
        disc(at(-0.12, 0.10), HEAD_RADIUS * 1.06, look.hair, TORSO),
        ellipse(at(0.16, -0.14), (HEAD_RADIUS * 0.92, HEAD_RADIUS * 0.92), look.skin, TORSO),
        polygon((at(0.9, 0.1), at(1.35, -0.25), at(0.9, -0.4)), look.skin, TORSO),
        disc(at(0.62, 0.05), 0.016, (20, 20, 24), TORSO),
    ]
    if look.hat is not None:
        brim = line((at(-0.9, 0.55), at(1.35, 0.55)), 0.035, look.hat, TORSO)
        crown = polygon((at(-0.9, 0.5), at(-0.65, 1.35), at(0.6, 1.35), at(0.85, 0.5)), look.hat, TORSO)
        parts += [crown, brim]
    return parts


def draw_person(pose: Pose, look: Appearance) -> Sketch:
    """Return a person's sketch; parts lie on the layers FAR_LIMBS, TORSO and NEAR_LIMBS."""
    hip, shoulder = pose.hip, pose.shoulder
    chest = (shoulder[0] * 0.9 + hip[0] * 0.1, shoulder[1] * 0.9 + hip[1] * 0.1)
    arms_from = (shoulder[0], shoulder[1] - 0.015)
    return [
        *_leg(hip, pose.far_foot, look, 0.72, FAR_LIMBS),
        *_arm(arms_from, pose.far_hand, look, 0.72, FAR_LIMBS),
        line((hip, chest), 0.165, look.shirt, TORSO),
        *_head(pose, look),
        *_leg(hip, pose.near_foot, look, 1.0, NEAR_LIMBS),
        *_arm(arms_from, pose.near_hand, look, 1.0, NEAR_LIMBS),
    ]
