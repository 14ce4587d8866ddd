"""A trained model on disk: a folder with model.safetensors and config.json. No pickle.

`config` holds the model's params, CLIP's architecture and the vocabulary, so that a checkpoint needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.file_content import reason_and_remedy
from pipeline.store.files import atomic_path, read_json, write_json

_RETRAIN = 'run "dvc repro train"'


def save_checkpoint(folder: Path, state: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> None:
    """Write weights and config atomically as one folder."""
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        # Not save_file: its files are readable only by their owner, and its errors have no errno.
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
        (temporary / "model.safetensors").write_bytes(save(tensors))
        write_json(temporary / "config.json", dict(config))


def load_checkpoint(
    folder: Path, *, vocabulary: Vocabulary | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return (state, config) of a checkpoint.

    Raises:
        ArtifactError: missing or damaged, or trained on another vocabulary than the one given.
    """
    config, path = read_json(folder / "config.json", remedy=_RETRAIN), folder / "model.safetensors"
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        reason = reason_and_remedy(path, "safetensors", error, _RETRAIN).what
        raise ArtifactError(f"{path}: cannot be read ({reason}); {_RETRAIN}") from None
    if vocabulary is not None:
        own = vocabulary_of(folder, config)
        if own != vocabulary:
            raise ArtifactError(
                f"{folder}: trained on another vocabulary ({own.num_verbs} verbs, {own.num_objects} objects, "
                f"{own.num_hois} HOI classes; expected {vocabulary.num_verbs}, {vocabulary.num_objects}, "
                f"{vocabulary.num_hois}); {_RETRAIN}"
            )
    return state, config


def vocabulary_of(folder: Path, config: Any) -> Vocabulary:
    """Return the vocabulary that a checkpoint was trained on.

    Raises:
        ArtifactError: `config` is not that of a checkpoint.
    """
    try:
        return Vocabulary.from_json(config["vocabulary"])
    except (KeyError, TypeError, DataError) as error:
        raise ArtifactError(
            f"{folder / 'config.json'}: not the config of a checkpoint ({error!r}); {_RETRAIN}"
        ) from None
