"""The vocabulary of a dataset as JSON: names, not numbers, so that a person can read it."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.vocabulary import Vocabulary
from pipeline.store.files import read_json, write_json


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write a vocabulary atomically."""
    write_json(path, vocabulary.to_json())


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary.

    Raises:
        ArtifactError, DataError: missing, truncated or inconsistent.
    """
    return Vocabulary.from_json(read_json(path, remedy='run "dvc repro prepare"'))
