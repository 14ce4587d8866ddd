"""What git knows: the commit of the code, and how results on disk differ from the committed ones.

Another CPU gives other last digits (CONTRIBUTING.md).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

_FOLDERS = ("results", "manifests")
_CODE = ("pipeline", "stages")
_ROOT = Path(__file__).parents[2]


def code_commit() -> str:
    """The last commit of this code and its day, e.g. "a1b2c3d4e5 of 2026-01-31"; "" outside a git repository."""
    commit = _git(_ROOT, "-c", "core.abbrev=10", "log", "-1", "--format=%h of %cs", "--", *_CODE)
    changes = _git(_ROOT, "status", "-s", "--", *_CODE)
    if commit is None or changes is None:
        return ""
    return f"{commit.strip()}, with changes" if commit and changes else commit.strip()


def differences_line(root: Path, headlines: Path) -> str | None:
    """Return one line on the committed files below results/ and manifests/ that differ now; None where none does.

    Args:
        root: repository root; None too where it is in no git repository.
        headlines: folder of the files of main numbers, percent, whose largest difference is told.
    """
    changed = _git(root, "diff", "--name-only", "HEAD", "--", *_FOLDERS)
    if not changed:
        return None
    largest = max((_difference(root, path) for path in sorted(headlines.glob("*.json"))), default=0.0)
    reason = "expected on another CPU than that of the commit"
    if _git(root, "diff", "--name-only", "HEAD", "--", "params.yaml", *_CODE):
        reason = "params.yaml or code differ too"
    return (
        f"{len(changed.splitlines())} committed files of results/ and manifests/ differ from the commit, the main "
        f"numbers by at most {largest:.2f} points: {reason}"
    )


def _difference(root: Path, path: Path) -> float:
    """Largest difference of a file's numbers to the committed ones; 0 where it is not committed."""
    committed = _git(root, "show", f"HEAD:./{path.relative_to(root).as_posix()}")
    before, now = _numbers(committed or "{}"), _numbers(path.read_text(encoding="utf-8"))
    return max((abs(now[name] - before[name]) for name in before.keys() & now.keys()), default=0.0)


def _numbers(text: str) -> dict[str, float]:
    found: Any = json.loads(text)
    return {name: value for name, value in found.items() if isinstance(value, float)}


def _git(root: Path, *call: str) -> str | None:
    """What git prints; None where there is no git, no repository, or no such file."""
    try:
        done = subprocess.run(["git", "-C", str(root), *call], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
