"""Classes that a name in params.yaml chooses. They are found in a room's own files; there is no list of them."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.core.errors import ParamError, did_you_mean


def load_plugin(room: ModuleType, name: str, attribute: str, param: str) -> Any:
    """Return `attribute` of the room's module or folder `name`; a name with dots is any module that can be imported.

    A folder defines the attribute in its module of the same name as the attribute, in lower case.

    Args:
        param: the parameter that holds the name, for messages.

    Raises:
        ParamError: there is no such module, or it does not define the attribute.
    """
    own = _modules(room)
    if "." in name:
        module = name
    elif name in own:
        module = f"{room.__name__}.{name}" + (f".{attribute.lower()}" if own[name] else "")
    else:
        module = ""
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ValueError, AttributeError, ModuleNotFoundError) as error:
        if isinstance(error, ModuleNotFoundError) and not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is not
        known = [name for name, is_folder in own.items() if _defines(room, name, attribute, is_folder)]
        raise ParamError(
            f'{param}: "{name}" is no module that defines {attribute}{did_you_mean(name, known)}; '
            f"expected {', '.join(known)}, or the dotted name of a module of yours"
        ) from None


def outside_files(*names: str) -> list[Path]:
    """Files of the names with dots, which are the user's own modules."""
    specs = [importlib.util.find_spec(name) for name in names if "." in name]
    return [Path(spec.origin) for spec in specs if spec is not None and spec.origin is not None]


def names_of(room: ModuleType) -> list[str]:
    """Names of all modules of a room."""
    return sorted(_modules(room))


def _modules(room: ModuleType) -> dict[str, bool]:
    """Modules of a room by name, and whether each is a folder."""
    return {item.name: item.ispkg for item in pkgutil.iter_modules(room.__path__)}


def _defines(room: ModuleType, name: str, attribute: str, is_folder: bool) -> bool:
    """Whether a file of the room assigns the attribute, read without importing it."""
    file = Path(room.__path__[0]) / (f"{name}/{attribute.lower()}.py" if is_folder else f"{name}.py")
    return file.is_file() and f"\n{attribute} = " in file.read_text(encoding="utf-8")
