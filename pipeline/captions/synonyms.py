"""Synonyms of a vocabulary's categories and verbs: the project's table and, over it, a user's own file.

The file is JSON: {"objects": {"bicycle": ["bike"]}, "verbs": {"ride": ["mount"]}}, either part optional.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.captions.synonym_table import OBJECTS, VERBS
from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.templates import verb_key, without_role
from pipeline.store.json_file import load_json

_FORM = '{"objects": {"bicycle": ["bike"]}, "verbs": {"ride": ["mount"]}}'


@dataclass(frozen=True)
class Synonyms:
    """Further names by the name as words ("cell phone"; verbs without V-COCO's role)."""

    objects: dict[str, tuple[str, ...]]
    verbs: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, vocabulary: Vocabulary, path: Path | None) -> Synonyms:
        """Those of a vocabulary; `path` is the user's file.

        Raises:
            DataError: the file is missing or of another form, or names what the vocabulary does not have.
        """
        objects = {verb_key(name) for name in vocabulary.objects}
        human = verb_key(vocabulary.human)
        verbs = {verb_key(without_role(verb)) for verb in vocabulary.verbs}
        own = {} if path is None else _read(path)
        added_objects = _checked(own.get("objects", {}), objects, f"{path}: no category", "categories")
        added_verbs = _checked(own.get("verbs", {}), verbs, f"{path}: no verb", "verbs")
        shipped = {(human if name == "person" else name): words for name, words in OBJECTS.items()}
        if human != "person":
            shipped[human] = ("person", *shipped[human])
        return cls(
            {name: _without_names(shipped.get(name, ()), objects) + added_objects.get(name, ()) for name in objects},
            {name: _without_names(VERBS.get(name, ()), verbs) + added_verbs.get(name, ()) for name in verbs},
        )


def _without_names(words: Iterable[str], names: set[str]) -> tuple[str, ...]:
    """Words that are no names of their own: "watch" is looking, unless the vocabulary has the verb watch."""
    return tuple(word for word in words if word not in names)


def _read(path: Path) -> dict[str, Any]:
    data = load_json(path)
    parts = data if isinstance(data, dict) else {"": None}
    for part, table in parts.items():
        if part not in ("objects", "verbs") or not isinstance(table, dict):
            raise DataError(f"{path}: not a file of synonyms (found {part!r}); expected {_FORM}")
        for name, words in table.items():
            texts = words if isinstance(words, list) else [None]
            if not all(isinstance(word, str) and word.strip() for word in texts):
                raise DataError(f'{path}: "{name}" has {words!r}; expected a list of words, as in {_FORM}')
    return parts


def _checked(table: dict[str, list[str]], known: set[str], what: str, kind: str) -> dict[str, tuple[str, ...]]:
    """The user's words by name; refuses names that the vocabulary lacks."""
    for name in table:
        if verb_key(name) not in known:
            raise DataError(
                f'{what} "{name}" in the vocabulary{did_you_mean(verb_key(name), known)}; '
                f"expected one of its {len(known)} {kind}"
            )
    return {verb_key(name): tuple(verb_key(word) for word in words) for name, words in table.items()}
