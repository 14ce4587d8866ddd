"""How a person and an object are arranged, one builder per verb.

A builder takes an object category and a random stream and returns an `Arrangement` in group coordinates: the unit is a
person's height, the person is near x = 0 and faces +x. Two verbs differ only in pose and contact: the objects, their
sizes and their colors are drawn from the same distributions everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random

from pipeline.toyworld import objects
from pipeline.toyworld.person import BEFORE_TORSO, BEHIND_TORSO, FAR_LIMBS, FRONT, HEAD_RADIUS, Pose
from pipeline.toyworld.poses import SOLE, bending, gesturing, overhead, seated, standing, walking, watching
from pipeline.toyworld.shapes import Point, Similarity, Sketch, disc, line

BEHIND_ALL = FAR_LIMBS - 10
ROPE = (70, 50, 36)


@dataclass(frozen=True)
class Arrangement:
    """A pose, where the object goes, its layer among the person's parts, and props that belong to neither box."""

    pose: Pose
    placement: Similarity
    layer: int
    props: tuple[Sketch, ...] = ()


def object_scale(category: str, random: Random) -> float:
    """Draw an object's size, in multiples of its sketch."""
    return random.uniform(*objects.KINDS[category].sizes)


def _put(
    category: str, random: Random, anchor: Point, at: Point, *, mirror: float = 1.0, angle: float = 0.0
) -> Similarity:
    """Place an object so that its local point `anchor` lands on `at`."""
    scale = object_scale(category, random)
    (x, y), *_ = Similarity(scale=scale, angle=angle, mirror=mirror).apply((anchor,))
    return Similarity(at[0] - x, at[1] - y, scale, angle, mirror)


def _on_ground(category: str, random: Random, anchor_x: float, at_x: float, mirror: float = 1.0) -> Similarity:
    return _put(category, random, (anchor_x, 0.0), (at_x, 0.0), mirror=mirror)


def _anchor(placement: Similarity, point: Point) -> Point:
    return placement.apply((point,))[0]


def _offset(point: Point, dx: float, dy: float) -> Point:
    return point[0] + dx, point[1] + dy


def _food(at: Point, random: Random) -> Sketch:
    return [disc(at, 0.034, random.choice(((196, 52, 36), (214, 168, 84), (92, 160, 52))), FRONT)]


def ride(category: str, random: Random) -> Arrangement:
    """On the saddle or the back, leaning forward, hands at the handlebar or the reins."""
    placement = _put(category, random, (0.0, 0.0), (0.0, 0.0))
    if category == "bicycle":
        hip = _offset(_anchor(placement, objects.SADDLE), 0.0, 0.05)
        bar, crank = _anchor(placement, objects.HANDLEBAR), _anchor(placement, objects.CRANK)
        turn, arm = random.uniform(0, 2 * math.pi), 0.075
        near = (crank[0] + arm * math.cos(turn), crank[1] + arm * math.sin(turn))
        far = (crank[0] - arm * math.cos(turn), crank[1] - arm * math.sin(turn))
        pose = Pose(hip, random.uniform(0.45, 0.75), bar, _offset(bar, -0.02, 0.01), near, far, -0.15)
        return Arrangement(pose, placement, BEHIND_TORSO)
    hip = _offset(_anchor(placement, objects.HORSE_BACK), 0.0, 0.05)
    hand = _offset(hip, random.uniform(0.24, 0.30), random.uniform(0.08, 0.14))
    foot = _offset(hip, random.uniform(0.02, 0.12), -0.42)
    pose = Pose(hip, random.uniform(0.12, 0.4), hand, _offset(hand, 0.02, -0.01), foot, _offset(foot, 0.03, 0.02))
    reins = line((hand, _anchor(placement, objects.HORSE_MUZZLE)), 0.016, ROPE, FRONT)
    return Arrangement(pose, placement, BEHIND_TORSO, ([reins],))


def sit_on(category: str, random: Random) -> Arrangement:
    """At rest on a seat; on bicycle and horse upright, hands off bar and reins, on the bicycle a foot on the ground."""
    if category in ("bicycle", "horse"):
        mirror = 1.0 if category == "bicycle" else random.choice((-1.0, 1.0))
        placement = _put(category, random, (0.0, 0.0), (0.0, 0.0), mirror=mirror)
        seat = objects.SADDLE if category == "bicycle" else objects.HORSE_BACK
        hip = _offset(_anchor(placement, seat), 0.0, 0.05)
        drop = hip[1] - SOLE if category == "bicycle" else 0.4
        near = _offset(hip, random.uniform(0.06, 0.16), -drop)
        base = Pose(hip, random.uniform(-0.15, 0.12), hip, hip, near, _offset(near, random.uniform(-0.1, 0.05), 0.0))
        return Arrangement(gesturing(base, random), placement, BEHIND_TORSO)
    mirror = 1.0 if category == "chair" else random.choice((-1.0, 1.0))
    placement = _on_ground(category, random, 0.0, 0.0, mirror)
    if category == "ball":
        placement = placement._replace(scale=random.uniform(1.25, objects.KINDS["ball"].sizes[1]))
    height = placement.scale * objects.KINDS[category].seat
    return Arrangement(seated(random, (-0.02, height)), placement, BEHIND_TORSO)


def stand_on(category: str, random: Random) -> Arrangement:
    """Upright on top of the object."""
    placement = _on_ground(category, random, 0.0, 0.0, random.choice((-1.0, 1.0)))
    height = placement.scale * objects.KINDS[category].seat
    pose = standing(random, lean=random.uniform(-0.05, 0.08), y=height)
    return Arrangement(gesturing(pose, random) if random.random() < 0.5 else pose, placement, BEHIND_TORSO)


def lift(category: str, random: Random) -> Arrangement:
    """Held over the head with both hands."""
    pose = overhead(random)
    top = (pose.near_hand[1] + pose.far_hand[1]) / 2 - random.uniform(0.02, 0.05)
    tilt = random.uniform(-0.22, 0.22) if category != "ball" else 0.0
    placement = _put(category, random, (0, 0), (0, top), mirror=random.choice((-1.0, 1.0)), angle=tilt)
    return Arrangement(pose, placement, BEHIND_TORSO)


def push(category: str, random: Random) -> Arrangement:
    """Leaning into it with both hands, in mid-stride; the bicycle is walked beside its owner."""
    if category == "bicycle":
        pose = walking(random, lean=random.uniform(0.2, 0.4))
        bar_at = _offset(pose.shoulder, random.uniform(0.20, 0.26), -0.22)
        placement = _on_ground(category, random, objects.HANDLEBAR[0], bar_at[0])
        bar, saddle = _anchor(placement, objects.HANDLEBAR), _anchor(placement, objects.SADDLE)
        far = _offset(saddle, 0.02, 0.02) if random.random() < 0.3 else _offset(bar, -0.03, 0.01)
        pose = replace(pose, near_hand=bar, far_hand=far)
        return Arrangement(pose, placement, random.choice((BEHIND_ALL, BEFORE_TORSO)))
    low = category == "box"
    pose = walking(random, lean=random.uniform(0.7, 0.9) if low else random.uniform(0.35, 0.6))
    hip = (0.0, 0.37) if low else (0.0, 0.45)
    pose = replace(pose, hip=hip, near_foot=(-0.30, SOLE + 0.02), far_foot=(0.05, SOLE))
    rear = objects.CHAIR_BACK if not low else (-objects.BOX_SIZE[0] / 2, objects.BOX_SIZE[1] * 0.85)
    placement = _on_ground(category, random, rear[0], pose.shoulder[0] + random.uniform(0.2, 0.25))
    hands = _anchor(placement, rear)
    pose = replace(pose, near_hand=hands, far_hand=_offset(hands, 0.0, -0.05), nod=-0.2)
    return Arrangement(pose, placement, BEHIND_ALL)


def carry(category: str, random: Random) -> Arrangement:
    """Held in front of the chest with both arms, mostly on the way somewhere."""
    pose = walking(random, lean=random.uniform(-0.12, 0.06))
    bottom = random.uniform(0.47, 0.58)
    mirror = random.choice((-1.0, 1.0))
    placement = _put(category, random, (0.0, 0.0), (0.0, bottom), mirror=mirror)
    x = 0.07 + placement.scale * objects.KINDS[category].half_width * (1.0 if category == "box" else 0.55)
    placement = placement._replace(x0=x, y0=bottom - (0.10 if category == "dog" else 0.0))
    near = (x + 0.04, bottom + 0.02)
    return Arrangement(replace(pose, near_hand=near, far_hand=_offset(near, 0.06, 0.0)), placement, BEFORE_TORSO)


def hold(category: str, random: Random) -> Arrangement:
    """In the hands of a person at rest: a ball before the chest, a cup or a book in one hand."""
    pose = standing(random, lean=random.uniform(-0.05, 0.08))
    if category == "ball":
        center = (random.uniform(0.20, 0.27), random.uniform(0.55, 0.70))
        placement = _put(category, random, (0.0, objects.BALL_RADIUS), center)
        reach = placement.scale * objects.BALL_RADIUS
        near, far = _offset(center, -0.02, -0.6 * reach), _offset(center, 0.02, 0.7 * reach)
        return Arrangement(replace(pose, near_hand=near, far_hand=far), placement, BEFORE_TORSO)
    hand = (random.uniform(0.20, 0.30), random.uniform(0.52, 0.66))
    if category == "book" and random.random() < 0.5:
        hand = (random.uniform(0.02, 0.12), random.uniform(0.44, 0.50))
    anchor = (0.0, objects.CUP_SIZE[1] * 0.4) if category == "cup" else (0.0, 0.06)
    placement = _put(category, random, anchor, hand, angle=random.uniform(-0.25, 0.25))
    return Arrangement(replace(pose, near_hand=hand), placement, BEFORE_TORSO)


def drink_with(category: str, random: Random) -> Arrangement:
    """Tilted at the mouth, the head back."""
    pose = replace(standing(random, lean=random.uniform(-0.18, 0.0)), nod=random.uniform(-0.35, -0.1))
    rim = _offset(pose.mouth, 0.045, 0.015)
    placement = _put(category, random, (0.0, objects.CUP_SIZE[1]), rim, angle=random.uniform(0.5, 1.1), mirror=-1.0)
    return Arrangement(replace(pose, near_hand=_anchor(placement, (0.0, 0.05))), placement, BEFORE_TORSO)


def read(category: str, random: Random) -> Arrangement:
    """Up before the face in both hands, the head bowed."""
    lean, nod = random.uniform(-0.02, 0.12), random.uniform(0.2, 0.45)
    pose = replace(standing(random, lean=lean), nod=nod)
    if random.random() < 0.3:
        pose = replace(pose, hip=(-0.05, 0.30), near_foot=(0.16, SOLE), far_foot=(0.1, SOLE))
    foot = _offset(pose.shoulder, random.uniform(0.21, 0.26), random.uniform(-0.12, -0.03))
    placement = _put(category, random, (0.0, 0.02), foot, angle=random.uniform(-0.1, 0.2))
    hands = _offset(foot, -0.02, -0.01), _offset(foot, 0.05, 0.02)
    return Arrangement(replace(pose, near_hand=hands[0], far_hand=hands[1]), placement, BEFORE_TORSO)


def throw(category: str, random: Random) -> Arrangement:
    """Just let go: arm out, legs apart, the object in the air ahead of the hand."""
    pose = standing(random, lean=random.uniform(0.08, 0.35))
    shoulder = pose.shoulder
    hand = _offset(shoulder, random.uniform(0.22, 0.30), random.uniform(0.05, 0.24))
    back = _offset(shoulder, random.uniform(-0.28, -0.16), random.uniform(-0.2, 0.05))
    spread = random.uniform(0.15, 0.22)
    pose = replace(pose, hip=(0.0, 0.455), near_foot=(spread, SOLE), far_foot=(-spread, SOLE))
    pose = replace(pose, near_hand=hand, far_hand=back, nod=-0.1)
    middle = (0.0, objects.BALL_RADIUS) if category == "ball" else (0.0, 0.1)
    at = _offset(hand, random.uniform(0.17, 0.42), random.uniform(-0.02, 0.26))
    spin = random.uniform(-1.0, 1.0)
    return Arrangement(pose, _put(category, random, middle, at, angle=spin), BEFORE_TORSO)


def kick(category: str, random: Random) -> Arrangement:
    """One leg swung out at it, the torso leaning back."""
    pose = standing(random, lean=random.uniform(-0.35, -0.1))
    shoulder = pose.shoulder
    foot = (random.uniform(0.30, 0.40), random.uniform(0.10, 0.22))
    hands = _offset(shoulder, -0.24, -0.12), _offset(shoulder, 0.24, -0.10)
    pose = replace(pose, near_foot=foot, far_foot=(-0.04, SOLE), near_hand=hands[0], far_hand=hands[1], nod=0.2)
    gap = 0.07 + random.uniform(0.0, 0.10)
    placement = _on_ground(category, random, -objects.KINDS[category].half_width, foot[0] + gap)
    return Arrangement(pose, placement._replace(y0=random.uniform(0.0, foot[1])), BEHIND_TORSO)


def pet(category: str, random: Random) -> Arrangement:
    """A hand on the animal's back, neck or head."""
    mirror = random.choice((-1.0, 1.0))
    if category == "horse":
        pose = standing(random, lean=random.uniform(0.0, 0.15))
        anchor = objects.HORSE_NECK if mirror < 0 else random.choice(((-0.25, 0.68), (-0.15, 0.69)))
        hand_x = pose.shoulder[0] + random.uniform(0.22, 0.3)
    else:
        pose = bending(random)
        anchor = objects.DOG_HEAD if mirror < 0 else random.choice((objects.DOG_BACK, (-0.12, 0.28)))
        hand_x = pose.shoulder[0] + random.uniform(0.16, 0.25)
    placement = _on_ground(category, random, anchor[0], hand_x, mirror)
    hand = _offset(_anchor(placement, anchor), 0.0, 0.02)
    return Arrangement(replace(pose, near_hand=hand, nod=pose.nod + 0.15), placement, BEHIND_ALL)


def feed(category: str, random: Random) -> Arrangement:
    """Food held out under the muzzle of an animal that faces the person."""
    if category == "horse":
        pose, anchor = standing(random, lean=random.uniform(0.0, 0.18)), objects.HORSE_MUZZLE
    else:
        pose, anchor = bending(random), objects.DOG_MUZZLE
    reach = random.uniform(0.2, 0.28)
    placement = _on_ground(category, random, anchor[0], pose.shoulder[0] + reach + 0.04, mirror=-1.0)
    hand = _offset(_anchor(placement, anchor), -0.05, -0.05)
    props = (_food(_offset(hand, 0.02, 0.035), random),)
    return Arrangement(replace(pose, near_hand=hand), placement, BEHIND_ALL, props)


def walk(category: str, random: Random) -> Arrangement:
    """On a rope: the horse is led, the dog runs ahead or behind; both go the same way."""
    pose = walking(random)
    ahead = category == "dog" and random.random() < 0.6
    side, reach = (1.0, random.uniform(0.45, 0.65)) if ahead else (-1.0, random.uniform(0.3, 0.45))
    anchor = objects.DOG_COLLAR if category == "dog" else objects.HORSE_MUZZLE
    placement = _on_ground(category, random, anchor[0], side * reach)
    hand = _offset(pose.shoulder, side * random.uniform(0.14, 0.22), -0.22)
    end = _anchor(placement, anchor)
    sag = ((hand[0] + end[0]) / 2, (hand[1] + end[1]) / 2 - random.uniform(0.0, 0.05))
    rope = line((hand, sag, end), 0.016, ROPE, FRONT)
    return Arrangement(replace(pose, near_hand=hand), placement, BEHIND_ALL, ([rope],))


def look_at(category: str, random: Random) -> Arrangement:
    """Watched from a step or two away, touched by nothing."""
    pose = watching(random)
    near_side = pose.head[0] + HEAD_RADIUS + random.uniform(0.14, 0.45)
    placement = _on_ground(category, random, 0.0, 0.0, random.choice((-1.0, 1.0)))
    return Arrangement(
        pose, placement._replace(x0=near_side + placement.scale * objects.KINDS[category].half_width), BEHIND_ALL
    )
