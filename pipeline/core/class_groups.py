"""Groups of HOI classes over which scores are averaged: those of a dataset (rare, non-rare), of a class split, yours.

Tables, figures and files follow these names in their order; only whoever defines a group knows what it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.names import name_fault

FULL = "full"  # the group of all classes, first of every record


@dataclass(frozen=True)
class ClassGroups:
    """HOI classes by group name, bool [H] each; the first group, "full", holds all of them.

    Raises:
        DataError: a name that no file could have, or masks of different lengths.
    """

    members: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, num_hois: int, groups: Mapping[str, NDArray[np.bool_]] | None = None) -> ClassGroups:
        """All classes, and further groups."""
        return cls({FULL: np.ones(num_hois, np.bool_), **(groups or {})})

    def __post_init__(self) -> None:
        for name, members in self.members.items():
            if fault := name_fault(name):
                raise DataError(f"class group {name!r}: expected {fault}")
            if members.shape != (self.num_hois,):
                raise DataError(
                    f"class group {name}: shape {members.shape}, expected one entry for each of {self.num_hois} classes"
                )

    @property
    def num_hois(self) -> int:
        """Number of HOI classes, H."""
        return len(next(iter(self.members.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        return self.members[name]

    def sizes(self) -> dict[str, int]:
        """Number of classes of each group."""
        return {name: int(members.sum()) for name, members in self.members.items()}

    def means(self, values: NDArray[np.float64]) -> dict[str, float]:
        """Mean of a score [H] over each group; nan for a group without classes.

        As officially, a class without ground truth (nan) counts as 0.
        """
        return {name: mean_score(values[members]) for name, members in self.members.items()}


def mean_score(values: NDArray[np.float64]) -> float:
    """Mean of the scores of some classes, those that are nan counted as 0; nan over no class."""
    return float(np.nan_to_num(values).mean()) if len(values) else float("nan")
