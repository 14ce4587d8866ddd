"""The vocabulary of a dataset as JSON: names, not numbers, so that a person can read it."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.files import read_json, write_json


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write a vocabulary atomically."""
    write_json(path, vocabulary.to_json())


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary.

    Raises:
        ArtifactError: missing, truncated or inconsistent.
    """
    remedy = 'run "dvc repro prepare"'
    data = read_json(path, remedy=remedy)
    try:
        return Vocabulary.from_json(data)
    except DataError as error:
        raise ArtifactError(f"{path}: {error}; {remedy}") from None
