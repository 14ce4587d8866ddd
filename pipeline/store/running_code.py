"""Names the code that runs: what finished parts and resume points depend on beside inputs and params."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline.config.sections import digest_of
from pipeline.store.files import sha256_of
from pipeline.store.manifests import library_versions, relative
from pipeline.store.source_files import reachable_modules, source_files

_ROOT = Path(__file__).parents[2]


@lru_cache
def code_digest(*starts: str, root: Path = _ROOT) -> str:
    """Digest of the source files that modules of this project can reach, and of the library versions.

    The files are read when a process first asks. Where the code cannot be followed, such as that of a test or with a
    relative import, every file counts.

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
