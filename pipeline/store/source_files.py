"""The source files that a module of this project can reach, by any import statement, also those in functions.

Their digest names the code that runs: finished parts and resume points depend on it beside inputs and params.
"""

from __future__ import annotations

import ast
import hashlib
import tokenize
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from io import StringIO
from itertools import pairwise
from pathlib import Path

from pipeline.config.sections import digest_of
from pipeline.store.files import sha256_of
from pipeline.store.manifests import library_versions, relative

PACKAGES = ("pipeline", "stages")
_ROOT = Path(__file__).parents[2]
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
    """Return what one file imports: modules of the project by name, others by their top-level package.

    Args:
        modules: file of each module of the project.

    Raises:
        ValueError: an import is relative, or of a module that the project lacks.
    """
    found = set()
    for name, level, line in _import_statements(path.read_text(encoding="utf-8")):
        if level:
            raise ValueError(f"{path}:{line}: a relative import; expected the module's whole name")
        found.add(_module_of(name, modules))
    return found - {"__future__"}


@cache
def _import_statements(source: str) -> tuple[tuple[str, int, int], ...]:
    """Imported name, level (0: absolute) and line of each; parsed once, since many commands reach the same files."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = [(alias.name, 0, node.lineno) for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    froms = [(node, alias) for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
    return (*plain, *((f"{node.module}.{alias.name}", node.level, node.lineno) for node, alias in froms))


def _module_of(name: str, modules: Mapping[str, Path]) -> str:
    """`pipeline.core.boxes.box_iou` is of the module `pipeline.core.boxes`; `numpy.typing.NDArray` of `numpy`."""
    if name.partition(".")[0] not in PACKAGES:
        return name.partition(".")[0]
    while name not in modules:
        if "." not in name:
            raise ValueError(f"no module {name}")
        name = name.rpartition(".")[0]
    return name


def reachable_modules(
    starts: set[str], modules: Mapping[str, Path], plugins: Collection[str] | None = None
) -> set[str]:
    """Return the modules of the project that these reach, themselves included, the layout of folders not.

    A module that loads plugins reaches those of its room that `plugins` names; None: all of its room, since only params
    say which plugin is used.

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
                own = {name for name in modules if name.startswith(room)}
                imported |= {n for n in own if plugins is None or n.removeprefix(room).partition(".")[0] in plugins}
            waiting += [name for name in imported if name in modules and name != _PATHS]
    return seen


def statements_digest(path: Path) -> str:
    """Return the sha256 of a source file without its comments, docstrings and blank lines: no result depends on these.

    It takes far longer than a digest of the whole file.
    """
    return hashlib.sha256(_statements(path.read_text(encoding="utf-8")).encode()).hexdigest()


@cache
def _statements(source: str) -> str:
    lines = source.split("\n")
    dropped, starts = set(), True
    for token, following in pairwise(tokenize.generate_tokens(StringIO(source).readline)):
        (row, column), (end, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column].rstrip()
        elif token.type == tokenize.NL and not lines[row - 1].strip():
            dropped.add(row)
        elif token.type == tokenize.STRING and starts and following.type == tokenize.NEWLINE:  # a string alone
            dropped.update(range(row, end + 1))
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            starts = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return "\n".join(line for row, line in enumerate(lines, start=1) if row not in dropped)


@lru_cache
def code_digest(*starts: str, root: Path = _ROOT) -> str:
    """Return the digest of the source files that modules of this project can reach, and of the library versions.

    The files are read once per process. If the imports cannot be followed (a test's module, a relative import), every
    file counts.

    Args:
        starts: modules that define the work, e.g. "stages.train".
        root: folder of the packages.
    """
    modules = source_files(root)
    try:
        reached = reachable_modules(set(starts), modules)
    except (KeyError, SyntaxError, ValueError):
        reached = set(modules)
    files = {relative(modules[name], root): sha256_of(modules[name]) for name in reached}
    return digest_of({"files": files, "versions": library_versions()})
