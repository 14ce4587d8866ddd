"""The 38 object-pose configurations, from the most to the least frequent, and the HOI classes that each one sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random

from pipeline.toyworld import arrangements
from pipeline.toyworld.arrangements import Arrangement
from pipeline.toyworld.vocabulary import toyworld_vocabulary


@dataclass(frozen=True)
class Configuration:
    """One way in which a person deals with an object; the first verb names the pose, the others hold as well."""

    category: str
    verbs: tuple[str, ...]

    def arrange(self, random: Random) -> Arrangement:
        """Draw a pose and an object's place."""
        builder: Callable[[str, Random], Arrangement] = getattr(arrangements, self.verbs[0])
        return builder(self.category, random)


# Rank r has weight r ** -exponent. Objects and verbs alternate, so that every object and most verbs have frequent and
# rare classes, as in HICO-DET.
CONFIGURATIONS: tuple[Configuration, ...] = (
    Configuration("bicycle", ("ride", "sit_on")),
    Configuration("chair", ("sit_on",)),
    Configuration("cup", ("hold",)),
    Configuration("dog", ("walk",)),
    Configuration("book", ("read", "hold")),
    Configuration("box", ("carry",)),
    Configuration("horse", ("ride", "sit_on")),
    Configuration("ball", ("throw",)),
    Configuration("bicycle", ("push", "hold")),
    Configuration("horse", ("pet",)),
    Configuration("dog", ("feed",)),
    Configuration("box", ("lift",)),
    Configuration("cup", ("drink_with", "hold")),
    Configuration("chair", ("push",)),
    Configuration("ball", ("kick",)),
    Configuration("horse", ("look_at",)),
    Configuration("dog", ("pet",)),
    Configuration("box", ("sit_on",)),
    Configuration("bicycle", ("look_at",)),
    Configuration("chair", ("stand_on",)),
    Configuration("book", ("hold",)),
    Configuration("ball", ("hold",)),
    Configuration("horse", ("feed",)),
    Configuration("bicycle", ("sit_on",)),
    Configuration("dog", ("look_at",)),
    Configuration("box", ("push",)),
    Configuration("ball", ("lift", "hold")),
    Configuration("cup", ("look_at",)),
    Configuration("horse", ("walk",)),
    Configuration("bicycle", ("lift",)),
    Configuration("dog", ("carry", "hold")),
    Configuration("box", ("stand_on",)),
    Configuration("ball", ("sit_on",)),
    Configuration("chair", ("lift",)),
    Configuration("book", ("throw",)),
    Configuration("horse", ("sit_on",)),
    Configuration("box", ("kick",)),
    Configuration("ball", ("look_at",)),
)


@cache
def hoi_ids_of(configuration: Configuration) -> tuple[int, ...]:
    """HOI classes that a configuration sets, the pose's own class first."""
    vocabulary = toyworld_vocabulary()
    object_id = vocabulary.objects.index(configuration.category)
    table = vocabulary.hoi_id_table
    return tuple(int(table[vocabulary.verbs.index(verb), object_id]) for verb in configuration.verbs)


@cache
def _cumulative_weights(exponent: float) -> tuple[float, ...]:
    return tuple(accumulate(rank**-exponent for rank in range(1, len(CONFIGURATIONS) + 1)))


def draw_configuration(random: Random, exponent: float) -> Configuration:
    """Draw a configuration by its frequency, rank ** -exponent (0 = flat)."""
    return random.choices(CONFIGURATIONS, cum_weights=_cumulative_weights(exponent))[0]
