"""Which source files a module of this project can reach: every import statement counts, also those in functions."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

PACKAGES = ("pipeline", "stages")
_PLUGINS = "pipeline.core.plugins"  # loads modules by names in params
_PATHS = "pipeline.config.layout"  # where artifacts lie; no byte of them depends on it


def source_files(root: Path) -> dict[str, Path]:
    """Return the file of every module under `root`; a package's is its __init__.py."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }


def imported_modules(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Return what one file imports: modules of the project by their names, others by their top-level package's.

    Args:
        modules: file of each module of the project.

    Raises:
        ValueError: an import is relative, or of a module that the project lacks.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(_module_of(alias.name, modules) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: a relative import; expected the module's whole name")
            found.update(_module_of(f"{node.module}.{alias.name}", modules) for alias in node.names)
    return found - {"__future__"}


def _module_of(name: str, modules: Mapping[str, Path]) -> str:
    """`pipeline.core.boxes.box_iou` is of the module `pipeline.core.boxes`; `numpy.typing.NDArray` of `numpy`."""
    if name.partition(".")[0] not in PACKAGES:
        return name.partition(".")[0]
    while name not in modules:
        if "." not in name:
            raise ValueError(f"no module {name}")
        name = name.rpartition(".")[0]
    return name


def reachable_modules(starts: set[str], modules: Mapping[str, Path]) -> set[str]:
    """Return the modules of the project that these reach, themselves included, the layout of folders not.

    A module that loads plugins reaches all of its room: which of them is known only from params.

    Raises:
        ValueError: as `imported_modules`.
    """
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            imported = imported_modules(modules[module], modules)
            if _PLUGINS in imported:
                room = f"{module.rpartition('.')[0]}."
                imported |= {name for name in modules if name.startswith(room)}
            waiting += [name for name in imported if name in modules and name != _PATHS]
    return seen
