"""The vocabulary of a dataset: verbs, object categories, and the HOI classes that combine them.

Ids are 0-based positions in the tuples. A verbs, C object categories, H HOI classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError, did_you_mean

_HUMAN_NAMES = ("person", "human", "people")  # how datasets call the category of humans
_DETECTED_HUMAN = "person"  # how detectors do


@dataclass(frozen=True)
class Vocabulary:
    """Verbs (A), object categories (C, the human among them) and HOI classes (H) of one dataset.

    Args:
        objects: category names; `human` is one of them.
        verbs: verb names as the dataset spells them ("sit_on").
        hoi_classes: (verb_id, object_id) of each HOI class.
        human: the category whose proposals act as humans.

    Raises:
        DataError: repeated names, ids out of range, or `human` not a category.
    """

    objects: tuple[str, ...]
    verbs: tuple[str, ...]
    hoi_classes: tuple[tuple[int, int], ...]
    human: str = "person"

    def __post_init__(self) -> None:
        for kind in ("objects", "verbs", "hoi_classes"):
            names = getattr(self, kind)
            if len(set(names)) != len(names):
                repeated = next(name for name in names if names.count(name) > 1)
                raise DataError(f"vocabulary: {kind} holds {repeated!r} twice; expected each once")
        if self.human not in self.objects:
            raise DataError(f'vocabulary: human category "{self.human}" is not among the {len(self.objects)} objects')
        for verb_id, object_id in self.hoi_classes:
            if not (0 <= verb_id < len(self.verbs) and 0 <= object_id < len(self.objects)):
                raise DataError(
                    f"vocabulary: HOI class ({verb_id}, {object_id}) is out of range; "
                    f"expected verb < {len(self.verbs)}, object < {len(self.objects)}"
                )

    @property
    def num_verbs(self) -> int:
        """Number of verbs; A in shapes."""
        return len(self.verbs)

    @property
    def num_objects(self) -> int:
        """Number of object categories, the human one included; C in shapes."""
        return len(self.objects)

    @property
    def num_hois(self) -> int:
        """Number of HOI classes; H in shapes."""
        return len(self.hoi_classes)

    @property
    def human_object_id(self) -> int:
        """Object id of the human category."""
        return self.objects.index(self.human)

    @cached_property
    def object_id_by_name(self) -> dict[str, int]:
        """Object ids by name, with spaces for underscores; a detector's "person" is the human, however named here."""
        ids = {name.replace("_", " "): object_id for object_id, name in enumerate(self.objects)}
        ids.setdefault(_DETECTED_HUMAN, self.human_object_id)
        return ids

    @cached_property
    def hoi_verb_ids(self) -> NDArray[np.int64]:
        """Verb id of each HOI class, int64 [H]."""
        return np.array([verb for verb, _ in self.hoi_classes], dtype=np.int64)

    @cached_property
    def hoi_object_ids(self) -> NDArray[np.int64]:
        """Object id of each HOI class, int64 [H]."""
        return np.array([obj for _, obj in self.hoi_classes], dtype=np.int64)

    @cached_property
    def hoi_id_table(self) -> NDArray[np.int64]:
        """HOI id of (verb, object), int64 [A, C]; -1 where the dataset has no such class."""
        table = np.full((self.num_verbs, self.num_objects), -1, dtype=np.int64)
        table[self.hoi_verb_ids, self.hoi_object_ids] = np.arange(self.num_hois)
        return table

    def hoi_name(self, hoi_id: int) -> str:
        """Return the HOI class as "verb object"."""
        verb_id, object_id = self.hoi_classes[hoi_id]
        return f"{self.verbs[verb_id]} {self.objects[object_id]}"

    @property
    def hoi_names(self) -> list[str]:
        """`hoi_name` of every HOI class."""
        return [self.hoi_name(hoi_id) for hoi_id in range(self.num_hois)]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form with names rather than ids, so that a person can read it."""
        return {
            "human": self.human,
            "objects": list(self.objects),
            "verbs": list(self.verbs),
            "hoi_classes": [[self.verbs[verb], self.objects[obj]] for verb, obj in self.hoi_classes],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Vocabulary:
        """Inverse of `to_json`.

        Raises:
            DataError: a key is missing or an HOI class names an unknown verb or object.
        """
        try:
            objects, verbs = tuple(data["objects"]), tuple(data["verbs"])
            pairs = [(verb, obj) for verb, obj in data["hoi_classes"]]
            human = data["human"]
            if not all(
                isinstance(name, str) for name in (human, *objects, *verbs, *(n for pair in pairs for n in pair))
            ):
                raise TypeError("a name is no text")
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(
                f"vocabulary: {error!r}; expected the keys human, objects, verbs, and hoi_classes as pairs of names"
            ) from None
        verb_ids, object_ids = ({name: row for row, name in enumerate(names)} for names in (verbs, objects))
        for verb, obj in pairs:
            for kind, name, known in (("verb", verb, verb_ids), ("object", obj, object_ids)):
                if name not in known:
                    raise DataError(
                        f'vocabulary: HOI class "{verb} {obj}" names an unknown {kind}{did_you_mean(name, known)}; '
                        f"expected one of its {len(known)} {kind}s"
                    )
        classes = tuple((verb_ids[verb], object_ids[obj]) for verb, obj in pairs)
        return cls(objects=objects, verbs=verbs, hoi_classes=classes, human=human)


def human_category(objects: Sequence[str], declared: Any = None) -> str:
    """Return the name of the human category of a dataset's objects.

    Args:
        declared: what the dataset's own file says it is; None where it says nothing.

    Raises:
        DataError: it is not among the objects, or nothing is declared and no category has a usual name.
    """
    if declared is not None and declared not in objects:
        guess = did_you_mean(str(declared), objects)
        raise DataError(f'vocabulary: human category "{declared}" is not among the {len(objects)} objects{guess}')
    for name in _HUMAN_NAMES if declared is None else (declared,):
        if name in objects:
            return str(name)
    raise DataError(
        f"vocabulary: no human category among the {len(objects)} objects, expected one of {', '.join(_HUMAN_NAMES)}; "
        'or name it in the file: "human": "<one of its objects>"'
    )
