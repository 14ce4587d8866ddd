"""From the text of a params file to checked sections: YAML 1.2 by DVC's own parser, then pydantic."""

from __future__ import annotations

import dataclasses
import functools
import re
import reprlib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node

from pipeline.core.errors import ParamError, did_you_mean, resource_error

Section = TypeVar("Section")
# Beside its own errors the parser raises others for tags whose value does not fit: "!!bool x".
NOT_YAML = (YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def parse_yaml(text: str) -> Any:
    """Return the value of YAML text; raises one of `NOT_YAML`."""
    constructor, _ = YAML(typ="safe").get_constructor_parser(text)
    node = constructor.composer.get_single_node()
    if twice := _keys_twice(node, set()):
        raise ValueError(f"{'; '.join(twice)}; expected each key once in a section")
    return None if node is None else constructor.construct_document(node)


def no_repository(params: Path) -> ParamError:
    """The error of a command without the repository that it works in; `params` would be its params.yaml."""
    return ParamError(f"{params} does not exist; run from the root of a clone of the repository, or give --root")


def read_params_file(path: Path) -> dict[str, Any]:
    """Return the sections of a params file, unchecked.

    Raises:
        ParamError: missing, unreadable, not UTF-8, not YAML, a key twice, or no mapping.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise no_repository(path) from None
    except OSError as error:
        raise resource_error(error) or ParamError(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from None
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ParamError(f"{path.name}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8") from None
    except NOT_YAML as error:
        raise ParamError(f"{path.name}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ParamError(f"{path.name}: expected a mapping of sections, found {type(document).__name__}")
    return document


def _keys_twice(node: Node | None, seen: set[int]) -> list[str]:
    """Name keys that occur twice in a mapping; the parser, and so DVC, does not see those beside a merge ("<<")."""
    if not isinstance(node, MappingNode) or id(node) in seen:
        return []
    seen.add(id(node))
    faults: list[str] = []
    lines: dict[tuple[str, str], int] = {}
    for key, value in node.value:
        name, line = (key.tag, str(key.value)), key.start_mark.line + 1
        if name in lines:
            faults.append(f'key "{key.value}" on lines {lines[name]} and {line}')
        lines[name] = line
        faults += _keys_twice(value, seen)
    return faults


def build_section(kind: type[Section], data: Any, where: str, faults: list[str]) -> Section | None:
    """Build one section; on faults append to the list and return None."""
    try:
        built: Section = _adapter(kind).validate_python(data)  # type: ignore[arg-type]
    except ValidationError as error:
        names = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
        faults += [_fault(found, where, names) for found in error.errors()]
        return None
    return built


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _fault(found: ErrorDetails, where: str, names: list[str]) -> str:
    """One fault as a sentence: where, what was found, what was expected."""
    kind, value = found["type"], found["input"]
    place = ".".join([where, *(str(part) for part in found["loc"] if part != "[key]")])
    if kind == "missing":
        return f'missing key "{place}"'
    if kind in ("unexpected_keyword_argument", "invalid_key"):
        return f'unknown key "{place}"{did_you_mean(str(found["loc"][-1]), names)}'
    if kind == "dataclass_type":
        return f"{place}: expected a section, found {type(value).__name__}"
    expected = re.sub("^(Input should be|Value error,) ", "", found["msg"])
    type_found = f" ({type(value).__name__})" if kind.endswith("_type") else ""
    suggestion = did_you_mean(str(value), re.findall("'(.+?)'", expected)) if kind == "literal_error" else ""
    return f"{place} is {reprlib.repr(value)}{type_found}{suggestion}; expected {expected}"
