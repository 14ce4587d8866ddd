"""The knowledge bank in HDF5: embeddings [H, D] with the prompts, CLIP model and digest that made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.core.errors import ArtifactError, DataError, resource_error
from pipeline.core.types import KnowledgeBank
from pipeline.store.hdf5_file import create_hdf5, open_hdf5, read_column, read_text
from pipeline.store.ragged import decode_strings, encode_strings


def write_bank(path: Path, bank: KnowledgeBank) -> None:
    """Write a knowledge bank atomically, byte-reproducibly."""
    prompts = encode_strings(list(bank.prompts))
    with create_hdf5(path, bank.hoi_embeddings.nbytes + prompts.nbytes) as file:
        file.attrs["clip_name"] = bank.clip_name
        file.attrs["clip_digest"] = bank.clip_digest
        shape = bank.hoi_embeddings.shape
        file.create_dataset(
            "hoi_embeddings", data=bank.hoi_embeddings, chunks=shape, track_times=False, fletcher32=True
        )
        file.create_dataset("prompts", data=prompts, track_times=False)


def read_bank(
    path: Path, *, num_hois: int | None = None, remedy: str = 'run "weakhoi encode-prompts"'
) -> KnowledgeBank:
    """Read a knowledge bank.

    Raises:
        ArtifactError: missing, damaged, or made for another number of HOI classes; `remedy` says what to do.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; {remedy}")
    try:
        with open_hdf5(path) as file:
            bank = KnowledgeBank(
                hoi_embeddings=read_column(file, "hoi_embeddings", np.float32, "H", "D"),
                prompts=tuple(decode_strings(read_column(file, "prompts", str, "H"))),
                clip_name=read_text(file, "clip_name"),
                clip_digest=read_text(file, "clip_digest"),
            )
    except (OSError, KeyError, RuntimeError, TypeError, UnicodeDecodeError, DataError) as error:
        reason = " ".join(str(error).split())
        raise resource_error(error) or ArtifactError(
            f"{path}: damaged or not a knowledge bank ({reason}); {remedy}"
        ) from None
    if num_hois is not None and len(bank.prompts) != num_hois:
        raise ArtifactError(f"{path}: {len(bank.prompts)} HOI classes, expected {num_hois}; {remedy}")
    return bank
