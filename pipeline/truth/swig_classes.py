"""SWIG-HOI's classes, from the user's swig_v1_categories.py (promting_hoi), whose lists are parsed and never run.

SWIG_CATEGORIES and SWIG_ACTIONS name objects and actions by id; SWIG_INTERACTIONS are (action, object) with `frequency`
(2 common, 1 rare, 0 unseen in training) and `evaluation`, 1 for the classes that count: 5,539 of 14,130 as published.
HOI classes are those that count, in the file's order; verbs and objects are those of these classes, and the person.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError, resource_error
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary

_LISTS = {
    "SWIG_CATEGORIES": ("id", "name"),
    "SWIG_ACTIONS": ("id", "name"),
    "SWIG_INTERACTIONS": ("action_id", "object_id", "frequency", "evaluation"),
}
_PERSON = 0  # category id
_GROUPS = {"common": 2, "rare": 1, "unseen": 0}  # by `frequency`
Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class SwigClasses:
    """The vocabulary, its groups bool [H], and `table` int64 [actions, categories]: HOI id by the file's ids, or -1."""

    vocabulary: Vocabulary
    groups: Mapping[str, NDArray[np.bool_]]
    table: IntArray


def read_swig_classes(path: Path) -> SwigClasses:
    """Read the lists.

    Raises:
        DataError: missing, no Python, or without these lists and keys.
    """
    lists = _literals(path)
    objects, actions = _names(lists["SWIG_CATEGORIES"]), _names(lists["SWIG_ACTIONS"])
    counted = [entry for entry in lists["SWIG_INTERACTIONS"] if entry["evaluation"] == 1]
    pairs = [(entry["action_id"], entry["object_id"]) for entry in counted]
    known = all(action in actions and obj in objects for action, obj in pairs)
    if not counted or not known or _PERSON not in objects:
        raise DataError(f"{path}: interactions name actions or categories that are not listed; download the file again")
    verb_ids = sorted({action for action, _ in pairs})
    object_ids = sorted({obj for _, obj in pairs} | {_PERSON})
    vocabulary = Vocabulary(
        objects=tuple(objects[row] for row in object_ids),
        verbs=tuple(actions[row] for row in verb_ids),
        hoi_classes=tuple((verb_ids.index(action), object_ids.index(obj)) for action, obj in pairs),
        human=objects[_PERSON],
    )
    table = np.full((max(actions) + 1, max(objects) + 1), -1, np.int64)
    table[tuple(np.array(pairs).T)] = np.arange(len(pairs))
    frequency = np.array([entry["frequency"] for entry in counted])
    return SwigClasses(vocabulary, {name: frequency == value for name, value in _GROUPS.items()}, table)


def _literals(path: Path) -> dict[str, Entries]:
    """The lists of the file by name, without running it."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = {
            target.id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id in _LISTS
        }
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        damaged = DataError(f"{path}: cannot be read as lists of classes ({reason}); download it again")
        raise resource_error(error) or damaged from None
    for name, keys in _LISTS.items():
        entries = found.get(name)
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and {*keys} <= {*entry} for entry in entries
        ):
            raise DataError(f"{path}: no list {name} of entries with {', '.join(keys)}; expected swig_v1_categories.py")
    return found


def _names(entries: Entries) -> dict[int, str]:
    """Names by id; one that stands for two ids gets its id behind it."""
    names = [str(entry["name"]).replace(" ", "_") for entry in entries]
    return {
        int(entry["id"]): name if names.count(name) == 1 else f"{name}_{entry['id']}"
        for entry, name in zip(entries, names, strict=True)
    }
