import hashlib

import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.files import atomic_path, read_json, sha256_of, write_json


def contents(folder) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    final = tmp_path / "sub" / "file.txt"
    with atomic_path(final) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError, match="interrupted"), atomic_path(final) as temporary:
        temporary.write_text("new, half wri")
        raise RuntimeError("interrupted")
    assert contents(tmp_path) == {"sub/file.txt": "old"}


def test_a_failure_in_a_folder_leaves_the_old_folder(tmp_path):
    final = tmp_path / "model"
    for word in ("old", "new"):
        with atomic_path(final) as temporary:
            temporary.mkdir()
            (temporary / word).write_text(word)
    assert contents(tmp_path) == {"model/new": "new"}  # the newer folder replaced the older one whole
    with pytest.raises(KeyboardInterrupt), atomic_path(final) as temporary:
        temporary.mkdir()
        (temporary / "half").write_text("x")
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"model/new": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_left_overs_of_a_killed_process_are_no_obstacle(tmp_path):
    with atomic_path(tmp_path / "a") as temporary:
        name = temporary.name
        temporary.write_text("1")
    (tmp_path / name).write_text("left over")
    with atomic_path(tmp_path / "a") as temporary:
        assert not temporary.exists()
        temporary.write_text("2")
    assert contents(tmp_path) == {"a": "2"}


def test_an_unwritable_target_is_one_line(tmp_path):
    (tmp_path / "full").write_text("")
    with pytest.raises(ArtifactError, match=r"file: cannot be written .*free space or permissions"):
        write_json(tmp_path / "full" / "file", {})
    with pytest.raises(ArtifactError, match="cannot be written"), atomic_path(tmp_path / "file") as _:
        raise OSError(28, "No space left on device")


def test_json_round_trip_and_damage(tmp_path):
    data = {"b": [1, 2.5, None], "a": {"ü": True}}
    write_json(tmp_path / "x.json", data)
    assert read_json(tmp_path / "x.json", remedy="") == data
    whole = (tmp_path / "x.json").read_bytes()
    for length in range(len(whole) - 2):
        (tmp_path / "x.json").write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"not JSON .*; repair it"):
            read_json(tmp_path / "x.json", remedy="repair it")
    with pytest.raises(ArtifactError, match="does not exist; make it"):
        read_json(tmp_path / "y.json", remedy="make it")


def test_digest_of_a_file_and_of_a_folder(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "one" / "a") == hashlib.sha256(b"abc").hexdigest()
    before = sha256_of(tmp_path / "one")
    (tmp_path / "one" / "a").rename(tmp_path / "one" / "b")
    renamed = sha256_of(tmp_path / "one")
    (tmp_path / "one" / "b").write_bytes(b"abd")
    assert len({before, renamed, sha256_of(tmp_path / "one")}) == 3
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "two" / "b").write_bytes(b"abc")
    assert sha256_of(tmp_path / "two") == renamed  # of what is inside, not of where it lies
