"""Files that lie where a binary file should be: what a browser, git, a broken download or a wrong path leaves there."""

from __future__ import annotations

import gzip
import io
import zipfile


def _zip(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"0" * 3000)
    return stream.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff\nsize 255882\n"
# Content: what a message calls it, and what it says to do.
OTHER_FILES = {
    "html": (b"\n<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n", "a web page", "download the file itself"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page", "download the file itself"),
    "lfs": (LFS, "a Git LFS pointer", 'run "git lfs pull" where it was cloned'),
    "zeros": (bytes(3000), "only zeros", "download it again"),
    "empty": (b"", "an empty file", "download it again"),
    "json": (b'{"error": "not found"}', "JSON text", "check the path"),
    "text": ("Zugriff verweigert für 3 Dateien\n".encode(), 'text, "Zugriff verweigert für', "check the path"),
    "cut zip": (_zip("archive/data.pkl")[:2000], "a zip archive cut short", "download it again"),
    "damaged zip": (_zip("a").replace(b"PK\x01\x02", b"PX\x01\x02"), "a damaged zip archive", "download it again"),
    "other zip": (_zip("readme.txt"), 'a zip archive of other files, "readme.txt" first', "check the path"),
    "gzip": (gzip.compress(b"x" * 3000), "a gzip archive", "unpack it"),
    "pdf": (b"%PDF-1.7\n" + bytes(50), "a PDF document", "check the path"),
}
