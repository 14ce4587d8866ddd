"""The JSON file of one run of `predict`: all images and those that were skipped; never over another kind of file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pipeline.core.errors import ArtifactError, DataError
from pipeline.store.files import check_target, is_stream, read_json, write_text

_KEYS = {"checkpoint", "detector", "fusion", "images", "skipped"}
# Control characters that JSON takes as they are, and a terminal may obey.
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def check_predictions_target(path: Path) -> None:
    """Refuse, before the work, a path where predictions could not or must not be written.

    Raises:
        DataError: a file is there that holds no predictions of ours.
        ArtifactError: the path cannot be written.
    """
    check_target(path)
    if os.path.lexists(path) and not is_stream(path) and not _holds_predictions(path):
        raise DataError(
            f"{path}: is there already and holds no predictions; it is never written over: choose another file for "
            "--json, or move this one away"
        )


def _holds_predictions(path: Path) -> bool:
    try:
        data = read_json(path, remedy="")
    except ArtifactError:
        return False
    return isinstance(data, dict) and data.keys() == _KEYS


def write_predictions(path: Path, document: dict[str, Any]) -> None:
    """Write the document atomically, or into a pipe."""
    write_text(path, predictions_text(document))


def predictions_text(document: dict[str, Any]) -> str:
    """Return the document as JSON, one-space indent, a line end at its end."""
    if document.keys() != _KEYS:
        raise ValueError(f"predictions with the keys {sorted(document)}, expected {sorted(_KEYS)}")
    return json.dumps(document, indent=1, ensure_ascii=False).translate(_ESCAPES) + "\n"
