"""Base poses of the synthetic world's persons, in person heights, facing +x, the ground at y = 0."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from pipeline.toyworld.person import HEAD_RADIUS, STANDING_HIP, Pose, shoulder_of
from pipeline.toyworld.shapes import Point

SOLE = 0.01  # height of an ankle target above the ground


def standing(random: Random, *, lean: float = 0.0, x: float = 0.0, y: float = 0.0) -> Pose:
    """A person at rest, arms down; y is the height of what the feet stand on."""
    hip = (x, y + STANDING_HIP)
    shoulder = shoulder_of(hip, lean)
    spread = random.uniform(0.02, 0.07)
    return Pose(
        hip=hip,
        lean=lean,
        near_hand=(shoulder[0] + random.uniform(-0.04, 0.08), shoulder[1] - random.uniform(0.29, 0.34)),
        far_hand=(shoulder[0] + random.uniform(-0.06, 0.06), shoulder[1] - random.uniform(0.29, 0.34)),
        near_foot=(x + spread, y + SOLE),
        far_foot=(x - spread, y + SOLE),
        nod=random.uniform(-0.1, 0.1),
    )


def walking(random: Random, *, lean: float = 0.08, x: float = 0.0) -> Pose:
    """A person in mid-stride, arms swinging."""
    hip = (x, STANDING_HIP - 0.02)
    shoulder = shoulder_of(hip, lean)
    stride, swing = random.uniform(0.11, 0.18) * random.choice((-1, 1)), random.uniform(0.08, 0.16)
    return Pose(
        hip=hip,
        lean=lean,
        near_hand=(shoulder[0] - swing * (1 if stride > 0 else -1), shoulder[1] - 0.29),
        far_hand=(shoulder[0] + swing * (1 if stride > 0 else -1), shoulder[1] - 0.29),
        near_foot=(x + stride, SOLE + (0.03 if stride < 0 else 0.0)),
        far_foot=(x - stride, SOLE + (0.03 if stride > 0 else 0.0)),
        nod=random.uniform(-0.05, 0.1),
    )


def bending(random: Random) -> Pose:
    """A person bent forward or crouching, hands free at about 0.35 above the ground and in front."""
    crouch = random.random() < 0.5
    hip = (-0.08, random.uniform(0.28, 0.34)) if crouch else (-0.10, random.uniform(0.44, 0.47))
    lean = random.uniform(0.4, 0.65) if crouch else random.uniform(0.85, 1.1)
    shoulder = shoulder_of(hip, lean)
    return Pose(
        hip=hip,
        lean=lean,
        near_hand=(shoulder[0] + 0.12, shoulder[1] - 0.28),
        far_hand=(shoulder[0] - 0.02, shoulder[1] - 0.28),
        near_foot=(random.uniform(-0.02, 0.06), SOLE),
        far_foot=(random.uniform(-0.16, -0.08), SOLE),
        nod=random.uniform(0.0, 0.25),
    )


def seated(random: Random, seat: Point) -> Pose:
    """A person who sits at `seat`, feet on the ground in front, hands on the knees or in a gesture."""
    hip = (seat[0], seat[1] + 0.06)
    lean = random.uniform(-0.15, 0.25)
    ahead = hip[0] + random.uniform(0.19, 0.27)
    knees = Pose(
        hip=hip,
        lean=lean,
        near_hand=(hip[0] + 0.2, hip[1] + 0.06),
        far_hand=(hip[0] + 0.17, hip[1] + 0.06),
        near_foot=(ahead, SOLE),
        far_foot=(ahead + random.uniform(-0.08, 0.05), SOLE),
        nod=random.uniform(-0.1, 0.15),
    )
    return gesturing(knees, random) if random.random() < 0.35 else knees


def gesturing(pose: Pose, random: Random) -> Pose:
    """Move the hands to where they touch nothing: on the hips, waving, or spread."""
    hip, shoulder = pose.hip, pose.shoulder
    kind = random.random()
    if kind < 0.4:
        return replace(pose, near_hand=(hip[0] + 0.03, hip[1] + 0.07), far_hand=(hip[0] + 0.06, hip[1] + 0.07))
    if kind < 0.7:
        return replace(pose, far_hand=(shoulder[0] + random.uniform(0.0, 0.15), shoulder[1] + 0.3))
    return replace(
        pose, near_hand=(shoulder[0] - 0.22, shoulder[1] - 0.16), far_hand=(shoulder[0] + 0.2, shoulder[1] - 0.2)
    )


def overhead(random: Random) -> Pose:
    """A standing person with both arms up."""
    pose = standing(random, lean=random.uniform(-0.08, 0.05))
    spread, height = random.uniform(0.07, 0.13), random.uniform(1.06, 1.11)
    return replace(pose, near_hand=(spread, height), far_hand=(-spread, height), nod=random.uniform(-0.35, 0.0))


def watching(random: Random) -> Pose:
    """A person who watches something in front: a hand at the brow, or bent with the hands on the knees."""
    if random.random() < 0.65:
        pose = replace(standing(random, lean=random.uniform(0.05, 0.2)), nod=random.uniform(0.1, 0.3))
        brow = (pose.head[0] + HEAD_RADIUS * 1.15, pose.head[1] + HEAD_RADIUS * 0.3)
        hips = (pose.hip[0] + 0.02, pose.hip[1] + 0.06)
        return replace(pose, near_hand=brow, far_hand=hips)
    pose = standing(random, lean=random.uniform(0.55, 0.75), x=-0.1)
    knees = (pose.hip[0] + 0.12, pose.hip[1] - 0.17)
    return replace(pose, hip=(-0.12, 0.45), near_hand=knees, far_hand=(knees[0] + 0.03, knees[1]), nod=-0.1)
