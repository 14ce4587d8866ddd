"""Who imports whom in this repository, read from the source (pipeline/store/source_files.py), each file once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipeline.store.source_files import imported_modules, reachable_modules, source_files

ROOT = Path(__file__).parent.parent


@cache
def modules() -> dict[str, Path]:
    return source_files(ROOT)


@cache
def imports(module: str) -> frozenset[str]:
    return frozenset(imported_modules(modules()[module], modules()))


def is_first_party(module: str) -> bool:
    return module in modules()


def closure(*starts: str) -> set[str]:
    return reachable_modules(set(starts), modules())


def room_modules(room: str) -> list[str]:
    return [name for name in modules() if name == f"pipeline.{room}" or name.startswith(f"pipeline.{room}.")]
