"""The knowledge bank in HDF5: embeddings with the prompts, CLIP model and digest that made them.

A file holds sentences of HOI classes [H, D], of object categories [C, D] and of verbs [A, D].
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.arrays import Form
from pipeline.core.errors import DataError
from pipeline.core.types import KnowledgeBank
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.hdf5_file import (
    create_hdf5,
    encode_strings,
    open_hdf5,
    read_columns,
    read_text,
    read_texts,
    write_column,
)
from pipeline.store.ragged import Column, check_made_for, reading

_EMBEDDINGS = {
    "hoi_embeddings": Form(np.float32, ("H", "D")),
    "object_embeddings": Form(np.float32, ("C", "D")),
    "verb_embeddings": Form(np.float32, ("A", "D")),
}
_PROMPTS = ("prompts", "object_prompts", "verb_prompts")


def write_bank(path: Path, bank: KnowledgeBank) -> None:
    """Write a knowledge bank atomically."""
    prompts = {name: encode_strings(getattr(bank, name)) for name in _PROMPTS}
    embeddings = {name: getattr(bank, name) for name in _EMBEDDINGS}
    with create_hdf5(path, sum(array.nbytes for array in (*prompts.values(), *embeddings.values()))) as file:
        file.attrs.update({"clip_name": bank.clip_name, "clip_digest": bank.clip_digest})
        for name, array in embeddings.items():
            write_column(file, name, Column.of(array), chunk_rows=len(array))
        for name, texts in prompts.items():
            file.create_dataset(name, data=texts, track_times=False)


def read_bank(
    path: Path, *, vocabulary: Vocabulary | None = None, remedy: str = 'run "weakhoi encode-prompts"'
) -> KnowledgeBank:
    """Read a knowledge bank.

    Raises:
        ArtifactError: missing, damaged, without sentences of objects and verbs (files of earlier versions), or made for
            another number of classes than the vocabulary's; `remedy` says what to do.
    """
    with reading(path, "not a knowledge bank", remedy), open_hdf5(path) as file:
        if missing := [name for name in (*_EMBEDDINGS, *_PROMPTS) if name not in file]:
            raise DataError(f"it has no {', '.join(missing)}; files of earlier versions hold HOI classes alone")
        fields: dict[str, Any] = {name: read_texts(file, name) for name in _PROMPTS}
        bank = KnowledgeBank(
            **(fields | read_columns(file, _EMBEDDINGS)),
            clip_name=read_text(file, "clip_name"),
            clip_digest=read_text(file, "clip_digest"),
        )
    if vocabulary is not None:
        check_made_for(path, "HOI classes", len(bank.prompts), vocabulary.num_hois, remedy)
        check_made_for(path, "object categories", len(bank.object_prompts), vocabulary.num_objects, remedy)
        check_made_for(path, "verbs", len(bank.verb_prompts), vocabulary.num_verbs, remedy)
    return bank
