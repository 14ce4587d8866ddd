"""Annotation files in JSON; a refusal says which dataset the file looks like."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

from pipeline.core.errors import DataError
from pipeline.store.file_content import content_of

_PIECE = 1 << 20  # characters


def read_annotation_json(path: Path, required: Sequence[str], dataset: str) -> dict[str, Any]:
    """Read a JSON object that must hold some keys.

    Raises:
        DataError: the file is missing, truncated, not JSON, or of another dataset.
    """
    data = load_json(path)
    missing = [key for key in required if not isinstance(data, dict) or key not in data]
    if missing:
        raise DataError(
            f"{path}: not {dataset} annotations ({looks_like(data)}): {', '.join(missing)} missing; "
            "check --dataset and --annotations"
        )
    return data


def load_json(path: Path) -> Any:
    """Read any JSON value.

    Raises:
        DataError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        if found := content_of(path, "json"):
            raise DataError(f"{path}: not JSON but {found.what}; {found.remedy}") from None
        if isinstance(error, UnicodeDecodeError):
            raise DataError(f"{path}: not a text file; expected JSON") from None
        raise DataError(
            f"{path}: not JSON, at line {error.lineno} column {error.colno} ({error.msg}); "
            "the file is truncated or damaged, download it again"
        ) from None
    except RecursionError:
        raise DataError(f"{path}: nested too deeply to be annotations; download it again") from None
    except ValueError:  # Python refuses longer numbers
        raise DataError(f"{path}: holds a number of more than {sys.get_int_max_str_digits()} digits") from None


def list_entries(path: Path, what: str, fields: str) -> Iterator[Any]:
    """Yield the entries of a list, which may be larger than memory.

    Args:
        what, fields: the file holds and an entry has, for messages.

    Raises:
        DataError: the file is missing, not JSON, or holds no list; what stands before a fault is yielded first.
    """
    try:
        with path.open(encoding="utf-8") as file:
            yield from _entries(file)
    except (OSError, ValueError, RecursionError):
        if isinstance(load_json(path), list):  # it says what is wrong with a file that is no JSON
            raise
        raise DataError(f"{path}: not {what}; expected a list of {fields}") from None


def _entries(file: IO[str]) -> Iterator[Any]:
    """Entries of a list, a piece of the text in memory at a time; raises ValueError for anything else."""
    decode, text, at, mark = json.JSONDecoder().raw_decode, "", 0, "["
    for piece in chain(iter(lambda: file.read(_PIECE), ""), [""]):
        text, at = text[at:] + piece, 0
        while (at := _behind_space(text, at)) < len(text):
            start = _behind_space(text, at + 1)
            if (text[at] == "]" and mark == ",") or (text[at] == mark == "[" and text[start : start + 1] == "]"):
                if (text[at:] + file.read()).lstrip("[ \t\n\r").rstrip() != "]":
                    raise ValueError("more than a list")
                return
            if text[at] != mark:
                raise ValueError("no list")
            try:
                entry, end = decode(text, start)
            except json.JSONDecodeError:
                break  # cut by the end of the piece, or damaged
            end = _behind_space(text, end)
            if text[end : end + 1] not in (",", "]"):
                break  # a number that goes on
            yield entry
            at, mark = end, ","
    raise ValueError("cut off")


def _behind_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\n\r":
        at += 1
    return at


def looks_like(data: Any) -> str:
    """Describe what an annotation file seems to be, for messages."""
    if isinstance(data, list):
        first = data[0] if data and isinstance(data[0], dict) else {}
        if "role_object_id" in first:
            return "looks like an official V-COCO file"
        return "looks like the form of PPDM and QPIC" if "hoi_annotation" in first else "a list"
    if not isinstance(data, dict):
        return f"a {type(data).__name__}"
    if "correspondence" in data:
        return "looks like HICO-DET"
    if "action_to_object" in data:
        return "looks like the JSON form of V-COCO"
    return "looks like COCO instances" if "categories" in data else "an unknown form"
