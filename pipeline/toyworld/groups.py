"""Groups: what is placed as one in a scene - a person with the object dealt with, an idle person, or an idle object."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from pipeline.toyworld.arrangements import object_scale
from pipeline.toyworld.configurations import CONFIGURATIONS, Configuration, hoi_ids_of
from pipeline.toyworld.objects import draw_object
from pipeline.toyworld.person import Pose, draw_appearance, draw_person
from pipeline.toyworld.poses import standing, walking
from pipeline.toyworld.shapes import Extent, Similarity, Sketch, extent, transform, with_layer
from pipeline.toyworld.vocabulary import OBJECTS

PERSON = OBJECTS.index("person")
# Poses that need something to sit or stand on are not shown without it.
SUPPORTED = ("ride", "sit_on", "stand_on")
UNSUPPORTED = tuple(entry for entry in CONFIGURATIONS if entry.verbs[0] not in SUPPORTED)


@dataclass(frozen=True)
class Member:
    """One thing with a box: its sketch, category and the color that captions name."""

    sketch: Sketch
    object_id: int
    color: str


@dataclass(frozen=True)
class Group:
    """Members and props in one coordinate system; hoi_ids relate member 0 (the person) to member 1 (the object)."""

    members: tuple[Member, ...]
    props: tuple[Sketch, ...] = ()
    hoi_ids: tuple[int, ...] = ()
    watching: bool = False
    extents: tuple[Extent, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extents", tuple(extent(member.sketch) for member in self.members))

    @property
    def is_idle_object(self) -> bool:
        """Whether this is an object without a person."""
        return self.members[0].object_id != PERSON

    def moved(self, similarity: Similarity) -> Group:
        """Return the group in other coordinates."""
        members = tuple(replace(m, sketch=transform(m.sketch, similarity)) for m in self.members)
        return replace(self, members=members, props=tuple(transform(prop, similarity) for prop in self.props))

    def in_drawing_order(self) -> Sketch:
        """All primitives, lowest layer first."""
        everything = [p for member in self.members for p in member.sketch] + [p for prop in self.props for p in prop]
        return sorted(everything, key=lambda primitive: primitive.layer)


def _person(pose: Pose, random: Random) -> Member:
    look = draw_appearance(random)
    return Member(draw_person(pose, look), PERSON, look.shirt_name)


def _object(category: str, placement: Similarity, layer: int, random: Random) -> Member:
    sketch, color = draw_object(category, random)
    return Member(with_layer(transform(sketch, placement), layer), OBJECTS.index(category), color)


def interaction(configuration: Configuration, random: Random) -> Group:
    """A person and the object dealt with."""
    arranged = configuration.arrange(random)
    person = _person(arranged.pose, random)
    thing = _object(configuration.category, arranged.placement, arranged.layer, random)
    return Group((person, thing), arranged.props, hoi_ids_of(configuration))


def idle_person(random: Random) -> Group:
    """A person who deals with nothing: at rest, walking, or in the very pose of an interaction, its object missing."""
    kind = random.random()
    if kind < 0.25:
        return Group((_person(standing(random), random),))
    if kind < 0.4:
        return Group((_person(walking(random), random),))
    configuration = random.choice(UNSUPPORTED)
    arranged = configuration.arrange(random)
    verb = configuration.verbs[0]
    props = arranged.props if verb == "feed" and random.random() < 0.6 else ()
    return Group((_person(arranged.pose, random),), props, watching=verb == "look_at")


def idle_object(category: str, random: Random) -> Group:
    """An object without an interaction, at any angle that it has in one."""
    angle = random.uniform(-0.35, 0.35) if random.random() < 0.3 else 0.0
    placement = Similarity(0.0, 0.0, object_scale(category, random), angle, random.choice((-1.0, 1.0)))
    return Group((_object(category, placement, 0, random),))
