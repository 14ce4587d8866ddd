"""Scenes: how many groups an image holds, where they stand, and the exact boxes and HOI classes that follow.

A scene is a pure function of (split, index, root seed, size, exponent): any process can render any image, in any order.
Scalars are drawn from a `random.Random` seeded by the scene's own numpy stream, several times cheaper than numpy's.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.core.seeding import numpy_generator
from pipeline.toyworld.background import add_noise, draw_background
from pipeline.toyworld.configurations import draw_configuration
from pipeline.toyworld.groups import Group, idle_object, idle_person, interaction
from pipeline.toyworld.shapes import Extent, Similarity, paint
from pipeline.toyworld.vocabulary import OBJECTS

SPLITS = ("train", "val", "test", "detector_corpus", "detector_quality", "clip_corpus", "clip_quality")
SUPERSAMPLING = 2
# Shares of images with 1, 2, 3 interactions; with 0, 1, 2 idle persons; with 0 .. 4 idle objects.
INTERACTION_SHARES = (0.48, 0.37, 0.15)
IDLE_PERSON_SHARES = (0.30, 0.45, 0.25)
IDLE_OBJECT_SHARES = (0.08, 0.22, 0.32, 0.25, 0.13)
COPY_SHARE = 0.45  # of idle objects that repeat the category of an object in use
PERSON_HEIGHT = (0.30, 0.42)  # in image heights
TRIES = 16
GOOD_OVERLAP, WORST_IDLE_OVERLAP = 0.18, 0.45  # of the smaller of two boxes


@dataclass(frozen=True)
class Scene:
    """One image with everything that is true of it. K things with boxes, P person-object-class rows.

    Attributes:
        image: RGB, size x size.
        boxes: float32 [K, 4] xyxy in continuous pixels, tight around what is drawn, occluded parts included, clipped.
        object_ids: int64 [K].
        human_index, object_index: int64 [P], rows of `boxes`.
        hoi_id: int64 [P]; a pair with several classes has several rows.
        colors: the name of each thing's color (of a person: the shirt's), K names.
    """

    image: Image.Image
    boxes: NDArray[np.float32]
    object_ids: NDArray[np.int64]
    human_index: NDArray[np.int64]
    object_index: NDArray[np.int64]
    hoi_id: NDArray[np.int64]
    colors: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Rows of human and object of each pair that interacts, ascending."""
        return sorted(set(zip(self.human_index.tolist(), self.object_index.tolist(), strict=True)))


def render_scene(split: str, index: int, *, root_seed: int, size: int = 160, exponent: float) -> Scene:
    """Render image `index` of a split.

    Args:
        split: one of `SPLITS`; each is a random stream of its own.
        index: number of the image, from 0.
        root_seed: the project's seed.
        size: width and height in pixels.
        exponent: frequency of a configuration is its rank to the power of -exponent; 0 is flat.

    Raises:
        ValueError: the split is unknown.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown toyworld split {split!r}; expected one of {', '.join(SPLITS)}")
    generator = numpy_generator(root_seed, "toyworld", split, index)
    random = Random(int(generator.integers(2**63)))
    pixels = size * SUPERSAMPLING
    image, canvas, horizon = draw_background(pixels, random)
    placed = _place_groups(_draw_groups(random, exponent), pixels, horizon, random)
    for group in sorted(placed, key=lambda group: max(box[3] for box in group.extents)):
        paint(canvas, group.in_drawing_order())
    noisy = add_noise(image.reduce(SUPERSAMPLING), generator, random.randint(3, 12))
    return _annotate(placed, noisy)


def _draw_count(random: Random, shares: tuple[float, ...]) -> int:
    return random.choices(range(len(shares)), weights=shares)[0]


def _draw_groups(random: Random, exponent: float) -> list[Group]:
    """Draw what a scene holds, in order of importance."""
    configurations = [draw_configuration(random, exponent) for _ in range(1 + _draw_count(random, INTERACTION_SHARES))]
    groups = [interaction(configuration, random) for configuration in configurations]
    groups += [idle_person(random) for _ in range(_draw_count(random, IDLE_PERSON_SHARES))]
    for _ in range(_draw_count(random, IDLE_OBJECT_SHARES)):
        copies = random.random() < COPY_SHARE
        category = random.choice(configurations).category if copies else random.choice(OBJECTS[1:])
        groups.append(idle_object(category, random))
    return groups


def _place_groups(groups: list[Group], pixels: int, horizon: float, random: Random) -> list[Group]:
    """Give each group a place in the image; idle ones that find no room are left out."""
    placed: list[Group] = []
    boxes: list[Extent] = []
    scene_scale = random.uniform(*PERSON_HEIGHT)
    for group in groups:
        best, best_overlap = None, float("inf")
        for _ in range(TRIES):
            similarity = _draw_place(group, pixels, horizon, scene_scale * random.uniform(0.92, 1.08), random)
            overlap = _worst_overlap(group, similarity, boxes)
            if overlap < best_overlap:
                best, best_overlap = similarity, overlap
            if best_overlap < GOOD_OVERLAP:
                break
        if best is None or (not group.hoi_ids and best_overlap > WORST_IDLE_OVERLAP):
            continue
        moved = group.moved(best)
        placed.append(moved)
        boxes += moved.extents
    return placed


def _draw_place(group: Group, pixels: int, horizon: float, height: float, random: Random) -> Similarity:
    """Draw where a group's origin goes; it stands below the horizon, or sometimes, an idle object, anywhere."""
    scale = height * pixels
    mirror = random.choice((-1.0, 1.0))
    x1, _, x2, height_above = _hull(group.extents)
    left, right = (x1, x2) if mirror > 0 else (-x2, -x1)
    thinnest = min(x2 - x1 for x1, _, x2, _ in group.extents)
    cut = min(0.05 * pixels, 0.3 * thinnest * scale)  # so much may be hidden by the image border
    low, high = -cut - left * scale, pixels + cut - right * scale
    x0 = random.uniform(low, high) if low < high else (low + high) / 2
    top = max(horizon * pixels, height_above * scale * 0.96)
    if group.is_idle_object and random.random() < 0.35:
        top = height_above * scale
    y0 = random.uniform(min(top, pixels * 0.97), pixels * 0.99)
    if group.watching and (x0 - pixels / 2) * mirror < 0:
        mirror = -mirror  # an idle watcher looks out of the picture
    return Similarity(x0, y0, scale, 0.0, mirror, -1.0)


def _hull(extents: tuple[Extent, ...]) -> Extent:
    x1, y1, x2, y2 = zip(*extents, strict=True)
    return min(x1), min(y1), max(x2), max(y2)


def _pixel_box(box: Extent, place: Similarity) -> Extent:
    """Map an extent by a place without rotation."""
    xs = place.x0 + place.scale * place.mirror * box[0], place.x0 + place.scale * place.mirror * box[2]
    return min(xs), place.y0 - place.scale * box[3], max(xs), place.y0 - place.scale * box[1]


def _worst_overlap(group: Group, place: Similarity, boxes: list[Extent]) -> float:
    """Largest overlap of the group with boxes already there, as a share of the smaller box."""
    worst = 0.0
    for box in group.extents:
        ax1, ay1, ax2, ay2 = _pixel_box(box, place)
        for bx1, by1, bx2, by2 in boxes:
            width, height = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
            if width > 0 and height > 0:
                smaller = min((ax2 - ax1) * (ay2 - ay1), (bx2 - bx1) * (by2 - by1))
                worst = max(worst, width * height / smaller)
    return worst


def _annotate(placed: list[Group], image: Image.Image) -> Scene:
    """Number the things of a scene and list the pairs that interact."""
    members = [member for group in placed for member in group.members]
    boxes = [box for group in placed for box in group.extents]
    rows: list[tuple[int, int, int]] = []
    first = 0
    for group in placed:
        rows += [(first, first + 1, hoi_id) for hoi_id in group.hoi_ids]
        first += len(group.members)
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Scene(
        image=image,
        boxes=(np.array(boxes) / SUPERSAMPLING).clip(0, image.width).astype(np.float32),
        object_ids=np.array([member.object_id for member in members], dtype=np.int64),
        human_index=columns[0].copy(),
        object_index=columns[1].copy(),
        hoi_id=columns[2].copy(),
        colors=tuple(member.color for member in members),
    )
