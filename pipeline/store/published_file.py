"""Files that their publisher names by their sha256: whether a file of that name is the published one."""

from __future__ import annotations

from pathlib import Path

from pipeline.store.file_content import Kind, content_of
from pipeline.store.files import sha256_of


def published_fault(path: Path, digest: str, kind: Kind = "torch") -> str | None:
    """Return why a file is not the published one; None where it is.

    Args:
        digest: the published sha256, or its first digits.
    """
    found = sha256_of(path)
    if found.startswith(digest):
        return None
    content = content_of(path, kind)
    what = f"{content.what}; " if content else ""
    return f"{what}sha256 {found[:12]}, published {digest[:12]}"
