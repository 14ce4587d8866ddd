import hashlib

import pytest

from pipeline.store.published_file import published_fault


def test_the_published_file_has_no_fault(tmp_path):
    (tmp_path / "x").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert published_fault(tmp_path / "x", digest) is None
    assert published_fault(tmp_path / "x", digest[:8]) is None


@pytest.mark.parametrize(
    ("data", "part"),
    [(b"PK\x03\x04 cut", "a zip archive cut short; sha256 "), (b"\x00\x01\xff", "sha256 26a66b061e8f")],
)
def test_another_file_is_told_by_its_content_and_digest(tmp_path, data, part):
    (tmp_path / "x").write_bytes(data)
    fault = published_fault(tmp_path / "x", "afeb0e10f9e5a86d")
    assert fault.startswith(part) and fault.endswith(", published afeb0e10f9e5")
