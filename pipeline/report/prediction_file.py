"""The JSON file of one run of `predict`: all images and those that were skipped; never over another kind of file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.store.files import write_text
from pipeline.store.targets import check_json_target

_KEYS = ("checkpoint", "detector", "fusion", "images", "skipped")
# Control characters that JSON takes as they are, and a terminal may obey.
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def check_predictions_target(path: Path) -> None:
    """Refuse, before the work, a path where predictions could not or must not be written.

    Raises:
        DataError: a file is there that holds no predictions of ours.
        ArtifactError: the path cannot be written.
    """
    check_json_target(path, _KEYS, what="predictions", option="--json")


def write_predictions(path: Path, document: dict[str, Any]) -> None:
    """Write the document atomically, or into a pipe."""
    write_text(path, predictions_text(document))


def predictions_text(document: dict[str, Any]) -> str:
    """Return the document as JSON, one-space indent, a line end at its end."""
    if missing := set(_KEYS) - document.keys():  # by which a later run could not tell it from another file
        raise ValueError(f"predictions without {sorted(missing)}")
    return json.dumps(document, indent=1, ensure_ascii=False).translate(_ESCAPES) + "\n"
