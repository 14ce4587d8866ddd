"""The knowledge bank in HDF5: embeddings [H, D] with the prompts, CLIP model and digest that made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.core.arrays import Form
from pipeline.core.types import KnowledgeBank
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


def write_bank(path: Path, bank: KnowledgeBank) -> None:
    """Write a knowledge bank atomically."""
    prompts, embeddings = encode_strings(bank.prompts), bank.hoi_embeddings
    with create_hdf5(path, embeddings.nbytes + prompts.nbytes) as file:
        file.attrs.update({"clip_name": bank.clip_name, "clip_digest": bank.clip_digest})
        write_column(file, "hoi_embeddings", Column.of(embeddings), chunk_rows=len(embeddings))
        file.create_dataset("prompts", data=prompts, track_times=False)


def read_bank(
    path: Path, *, num_hois: int | None = None, remedy: str = 'run "weakhoi encode-prompts"'
) -> KnowledgeBank:
    """Read a knowledge bank.

    Raises:
        ArtifactError: missing, damaged, or made for another number of HOI classes; `remedy` says what to do.
    """
    with reading(path, "not a knowledge bank", remedy), open_hdf5(path) as file:
        bank = KnowledgeBank(
            **read_columns(file, {"hoi_embeddings": Form(np.float32, ("H", "D"))}),
            prompts=read_texts(file, "prompts"),
            clip_name=read_text(file, "clip_name"),
            clip_digest=read_text(file, "clip_digest"),
        )
    check_made_for(path, "HOI classes", len(bank.prompts), num_hois, remedy)
    return bank
