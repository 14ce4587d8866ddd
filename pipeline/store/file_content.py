"""What a refused file holds instead: a web page, a Git LFS pointer, half a download.

Readers ask only after a failure, so that sound files are not read twice.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.core.errors import resource_error
from pipeline.store.files import sha256_of

Kind = Literal["torch", "safetensors", "hdf5", "mat", "npz", "json", "image", "pickle"]
_HEAD = 1024  # bytes that identify most kinds
_CHUNK = 1 << 20
_LONGEST_HEADER = 100_000_000  # bytes, of safetensors itself
_AGAIN = "download it again"
_CHECK = "check the path"


class Content(NamedTuple):
    """What a file holds instead ("a Git LFS pointer"), and what to do about it."""

    what: str
    remedy: str


# First bytes of binary files: the name, the kinds that begin so, and what to do where another kind was expected.
_MAGIC: tuple[tuple[bytes, str, tuple[Kind, ...], str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", ("hdf5", "mat"), _CHECK),
    (b"MATLAB ", "a MATLAB file", ("mat", "hdf5"), _CHECK),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", ("image",), _CHECK),
    (b"\xff\xd8\xff", "a JPEG image", ("image",), _CHECK),
    (b"\x1f\x8b", "a gzip archive", (), "unpack it"),
    (b"BZh", "a bzip2 archive", (), "unpack it"),
    (b"\xfd7zXZ\x00", "an xz archive", (), "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", (), "unpack it"),
    (b"%PDF-", "a PDF document", (), _CHECK),
    (b"\x80", "a pickle", ("torch", "pickle"), _CHECK),
)
_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|script|meta|title|\?xml)", re.IGNORECASE)


def content_of(path: Path, expected: Kind) -> Content | None:
    """Return what a file holds instead of the expected kind; None if it is of that kind, or unknown."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        if not size:
            return Content("an empty file", _AGAIN)
        if head.startswith(b"version https://git-lfs"):
            return Content("a Git LFS pointer and not the file itself", 'run "git lfs pull" where it was cloned')
        if _PAGE.match(head):
            return Content("a web page, such as a login or an error", "download the file itself")
        if not head.strip(b"\0") and _only_zeros(path):
            return Content("only zeros, as after an interrupted download", _AGAIN)
        return _archive(path, head, expected) or _safetensors(path, head, size, expected) or _other(head, expected)
    except OSError:
        return None


def reason_and_remedy(path: Path, expected: Kind, error: BaseException, remedy: str) -> Content:
    """Return why a reader refused a file: what it holds, if known, else the first line of the reader's message.

    Raises:
        ResourceError: the machine is at fault, and not the file.
    """
    if (lacking := resource_error(error)) is not None:
        raise lacking
    if isinstance(error, OSError) and error.strerror and error.errno:
        return Content(error.strerror, "check the path and its permissions")
    found = content_of(path, expected)
    return found or Content(first_line(error), remedy)


def torch_fault(path: Path, error: BaseException, remedy: str) -> Content:
    """Return why torch refused a file; torch's own messages are long, and advise to run the file's code."""
    fault = reason_and_remedy(path, "torch", error, remedy)
    if fault.what != first_line(error):
        return fault
    if re.search(r"PytorchStreamReader|miniz|CRC-32|zip file|central directory", str(error)):
        return Content("a damaged zip archive", _AGAIN)
    named = re.search(r"Unsupported (?:global: GLOBAL|class) ([\w.]+)", str(error))
    if named:
        return Content(f"it holds the Python object {named[1]}", remedy)
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):  # ours, of TorchScript archives
        return fault
    return Content("damaged, or not written by torch.save", f"{_AGAIN}, or {remedy}")


def published_fault(path: Path, digest: str) -> str | None:
    """Return why a file of torch's is not the published one; None where it is.

    Args:
        digest: the published sha256, or its first digits.
    """
    found = sha256_of(path)
    if found.startswith(digest):
        return None
    content = content_of(path, "torch")
    what = f"{content.what}; " if content else ""
    return f"{what}sha256 {found[:12]}, published {digest[:12]}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, at most 200 characters; its type if there is no message."""
    if isinstance(error, KeyError):  # whose message is the key alone
        return f"no {error}"
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


def _only_zeros(path: Path) -> bool:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            if chunk.count(0) != len(chunk):
                return False
    return True


def _archive(path: Path, head: bytes, expected: Kind) -> Content | None:
    """A zip archive, as torch and numpy write them, that is cut short, damaged or of other files."""
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        if not zipfile.is_zipfile(path):  # its table of files is at its end
            return Content("a zip archive cut short", _AGAIN)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return Content("a damaged zip archive", _AGAIN)
    if any(name.endswith("/data.pkl") for name in names):
        return None if expected == "torch" else Content("a file of torch.save", "give it the suffix .pt")
    if expected == "npz" and any(name.endswith(".npy") for name in names):
        return None
    return Content(f'a zip archive of other files, "{names[0]}" first' if names else "an empty zip archive", _CHECK)


def _safetensors(path: Path, head: bytes, size: int, expected: Kind) -> Content | None:
    """A safetensors file: 8 bytes that say how long the JSON behind them is, which says where the tensors end."""
    length = int.from_bytes(head[:8], "little")
    if head[8:10] != b'{"' or length >= _LONGEST_HEADER:
        return None
    if expected != "safetensors":
        return Content("a safetensors file", "give it the suffix .safetensors")
    cut = Content("a safetensors file cut short", _AGAIN)
    if size < 8 + length:
        return cut
    try:
        with path.open("rb") as stream:
            header = json.loads(stream.read(8 + length)[8:])
        end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    except (ValueError, TypeError, LookupError):
        return Content("a damaged safetensors file", _AGAIN)
    return cut if size < 8 + length + end else None


def _other(head: bytes, expected: Kind) -> Content | None:
    for magic, name, kinds, remedy in _MAGIC:
        if head.startswith(magic):
            return None if expected in kinds else Content(name, remedy)
    text = _text(head)
    if text is None or expected == "json":
        return None
    if text.lstrip()[:1] in ("{", "["):
        return Content("JSON text", _CHECK)
    return Content(f"text, {json.dumps(text.split(chr(10))[0].strip()[:40], ensure_ascii=False)}", _CHECK)


def _text(head: bytes) -> str | None:
    """The head as text where it is UTF-8 without control characters; a last character may be cut."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < _HEAD or error.start < _HEAD - 4:
            return None
        text = head[: error.start].decode("utf-8-sig")
    return text if all(character.isprintable() or character in "\r\n\t" for character in text) else None
