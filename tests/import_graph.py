"""Who imports whom, read from the source: every import statement counts, also those inside functions."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
FIRST_PARTY = ("pipeline", "stages")


def files() -> list[Path]:
    return [path for package in FIRST_PARTY for path in sorted((ROOT / package).rglob("*.py"))]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_of(path): path for path in files()}


@cache
def imports(module: str) -> frozenset[str]:
    """Modules that one module names: first-party ones as modules, others as their top-level package."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found.update(_resolve(name) for name in names)
    return frozenset(found - {"__future__"})


def _resolve(name: str) -> str:
    """`pipeline.core.boxes.box_iou` is of the module `pipeline.core.boxes`; `numpy.typing.NDArray` of `numpy`."""
    if name.partition(".")[0] not in FIRST_PARTY:
        return name.partition(".")[0]
    while name not in modules():
        assert "." in name, f"no module {name}"
        name = name.rpartition(".")[0]
    return name


def is_first_party(module: str) -> bool:
    return module in modules()


def closure(*starts: str) -> set[str]:
    """All first-party modules that these reach, themselves included."""
    seen, waiting = set(), list(starts)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += filter(is_first_party, imports(module))
    return seen


def room_modules(room: str) -> list[str]:
    return [name for name in modules() if name == f"pipeline.{room}" or name.startswith(f"pipeline.{room}.")]
