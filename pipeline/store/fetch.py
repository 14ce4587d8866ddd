"""Downloads that go on where they were cut off, and are kept only if they are the published file."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pipeline.core.errors import DownloadError, closed_file_error, resource_error
from pipeline.store.file_content import first_line, published_fault
from pipeline.store.files import check_space
from pipeline.store.lock import hold_lock
from pipeline.store.targets import check_target

Report = Callable[[int, int | None], None]  # bytes that are there, and of the whole file where the server says it
_CHUNK = 1 << 20
_TIMEOUT = 60.0  # seconds without a byte
_ALL_THERE = 416  # the status of a range that begins at the end of the file


def fetch(url: str, path: Path, *, sha256: str, report: Report | None = None) -> None:
    """Download a file. Until it is whole and checked it is PATH.part, with which a later call goes on.

    Args:
        sha256: the published one, or its first digits.
        report: called after each block.

    Raises:
        DownloadError: no network, no such file, or cut off (PATH.part stays); another file than the published one
            (nothing stays).
        ResourceError: the disk is full, or another process downloads the same file.
        ArtifactError: `path` cannot be written.
    """
    check_target(path)
    part = path.with_name(f"{path.name}.part")
    with hold_lock(path.with_name(f"{path.name}.lock"), f"download of {path}"):
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            _fetch_rest(url, part, report or (lambda done, total: None))
        except (OSError, HTTPException) as error:
            done = part.stat().st_size if part.exists() else 0
            kept = f"; {done:,} bytes are in {part}, run again to go on" if done else ""
            raise (
                resource_error(error)
                or closed_file_error(error)
                or DownloadError(f"{url}: cannot be downloaded ({first_line(error)}){kept}")
            ) from None
        if fault := published_fault(part, sha256):
            part.unlink()
            raise DownloadError(f"{url}: not the published file ({fault}); nothing was kept, run again")
        part.replace(path)


def _fetch_rest(url: str, part: Path, report: Report) -> None:
    """Append what is missing; a server that knows no ranges sends all of it again."""
    done = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"User-Agent": "weakhoi"} | ({"Range": f"bytes={done}-"} if done else {}))
    try:
        response = urlopen(request, timeout=_TIMEOUT)
    except HTTPError as error:
        if done and error.code == _ALL_THERE:
            return
        raise
    with response:
        if response.status != 206:
            done = 0
        length = response.headers["Content-Length"]
        total = None if length is None else done + int(length)
        check_space(part, (total or done) - done, "download", "free some, then run again")
        with part.open("ab" if done else "wb") as stream:
            while block := response.read(_CHUNK):
                stream.write(block)
                done += len(block)
                report(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"cut off after {done:,} of {total:,} bytes")
