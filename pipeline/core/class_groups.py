"""Groups of HOI classes over which scores are averaged: those of a dataset (rare, non-rare), of a class split, yours.

Tables, figures and files follow these names in their order; only the code that defines a group knows what it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError, ParamError, did_you_mean
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

    def and_of(self, groups: Mapping[str, NDArray[np.bool_]]) -> ClassGroups:
        """These groups and further ones."""
        return ClassGroups({**self.members, **groups})

    def adding(self, patterns: Mapping[str, Sequence[str]], names: Sequence[str]) -> ClassGroups:
        """Return these groups and further ones.

        Args:
            patterns: by group, wildcards that its classes match; one after "!" takes classes out again.
            names: "verb object" of each class; "_" is a blank, here and in patterns.

        Raises:
            ParamError: a group of that name exists already, or a pattern matches no class.
        """
        added, names = dict(self.members), [name.replace("_", " ") for name in names]
        for group, of_group in patterns.items():
            if group in added:
                raise ParamError(f'evaluate.class_groups: "{group}" is a group of this dataset; choose another name')
            members = np.zeros(self.num_hois, np.bool_)
            for pattern in of_group:
                wildcard = pattern.removeprefix("!").replace("_", " ")
                matched = np.array([fnmatchcase(name, wildcard) for name in names])
                if not matched.any():
                    near = did_you_mean(wildcard, names)
                    raise ParamError(f'evaluate.class_groups.{group}: "{wildcard}" matches no HOI class{near}')
                members[matched] = not pattern.startswith("!")
            added[group] = members
        return ClassGroups(added)

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
        """Number of HOI classes; H in shapes."""
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
