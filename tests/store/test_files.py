import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.files import (
    atomic_path,
    files_below,
    read_json,
    remove_leftovers,
    sha256_of,
    write_json,
    write_text,
)


def contents(folder) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_failure_leaves_the_old_file_or_folder_and_nothing_else(tmp_path):
    file, folder = tmp_path / "sub" / "file.txt", tmp_path / "model"
    for word in ("old", "new"):
        write_text(file, word)
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            (temporary / word).write_text(word)
    whole = {"sub/file.txt": "new", "model/new": "new"}  # the newer folder replaced the older one whole
    assert contents(tmp_path) == whole
    with pytest.raises(RuntimeError, match="interrupted"), atomic_path(file) as temporary:
        temporary.write_text("newer, half wri")
        raise RuntimeError("interrupted")
    with pytest.raises(KeyboardInterrupt), atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "half").write_text("x")
        raise KeyboardInterrupt
    assert contents(tmp_path) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "sub"]


def test_left_overs_of_a_killed_process_are_no_obstacle(tmp_path):
    with atomic_path(tmp_path / "a") as temporary:
        name = temporary.name
        temporary.write_text("1")
    (tmp_path / name).write_text("left over")
    with atomic_path(tmp_path / "a") as temporary:
        assert not temporary.exists()
        temporary.write_text("2")
    assert contents(tmp_path) == {"a": "2"}


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_left_overs_of_dead_processes_are_removed_and_no_others(tmp_path, dead_pid):
    (tmp_path / f".model.{dead_pid}.tmp").mkdir()
    (tmp_path / f".model.{dead_pid}.tmp" / "half").write_text("x")
    (tmp_path / f".model.{dead_pid}.old.tmp").write_text("x")
    others = {f".model.{os.getppid()}.tmp", f".model.x.{dead_pid}.tmp", f".mode.{dead_pid}.tmp", "model", "model.tmp"}
    for name in others:
        (tmp_path / name).write_text("x")
    remove_leftovers(tmp_path / "model")
    assert {path.name for path in tmp_path.iterdir()} == others
    remove_leftovers(tmp_path / "no folder" / "model")
    (tmp_path / f".small.json.{dead_pid}.tmp").write_text("half")
    write_text(tmp_path / "small.json", "whole")  # a small file takes its own away
    assert {path.name for path in tmp_path.iterdir()} == others | {"small.json"}


def test_an_older_folder_is_never_seen_half_removed(tmp_path, monkeypatch):
    """Removing a folder takes a while; a kill meanwhile must leave the complete old one, the new one, or none."""
    final, seen = tmp_path / "model", []
    for name in ("a", "b"):
        with atomic_path(final) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
        monkeypatch.setattr("pipeline.store.files.shutil.rmtree", lambda path: seen.append((path, contents(final))))
    assert [path.name for path, _ in seen] == [f".model.{os.getpid()}.old.tmp"]
    assert seen[0][1] == {"b": "b"}


def test_an_error_of_another_file_is_not_called_one_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), atomic_path(tmp_path / "sub" / "out"):
        Path(tmp_path / "input").read_text()
    with (
        pytest.raises(ArtifactError, match="out: cannot be written"),
        atomic_path(tmp_path / "sub" / "out") as temporary,
    ):
        (temporary / "x").write_text("no such folder")


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


# What is no regular file


def test_text_goes_into_a_pipe_which_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that the writer need not wait
    try:
        write_json(pipe, {"a": 1})
        assert os.read(reader, 100) == b'{\n "a": 1\n}\n'
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_what_is_no_regular_file_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with (tmp_path / "open").open("w") as stream:  # as /dev/stdout is, where standard output goes to a file
        for path in (tmp_path / "pipe", tmp_path / "link", Path(f"/proc/self/fd/{stream.fileno()}")):
            refused = pytest.raises(
                ArtifactError, match=r"a pipe, a device or a link to an open file, .* path of a file"
            )
            with refused, atomic_path(path) as temporary:
                temporary.write_text("x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode) and (tmp_path / "link").is_symlink()
    with pytest.raises(ArtifactError, match=r"pipe: a pipe or device, expected a file"):
        sha256_of(tmp_path / "pipe")


def test_a_link_to_a_regular_file_is_replaced_and_not_followed(tmp_path):
    """DVC links artifacts into its cache, whose files must not change."""
    (tmp_path / "cached").write_text("cached")
    (tmp_path / "artifact").symlink_to("cached")
    write_text(tmp_path / "artifact", "new")
    assert contents(tmp_path) == {"cached": "cached", "artifact": "new"}


def test_a_folder_and_a_file_never_take_each_others_place(tmp_path):
    (tmp_path / "photo.jpg").write_text("photo")
    (tmp_path / "folder").mkdir()
    refused = pytest.raises(ArtifactError, match=r"photo.jpg: a file, where a folder is to be written; move it away")
    with refused, atomic_path(tmp_path / "photo.jpg") as temporary:
        temporary.mkdir()
    with pytest.raises(ArtifactError, match=r"folder: a folder, where a file is to be written; move it away"):
        write_text(tmp_path / "folder", "x")
    assert contents(tmp_path) == {"photo.jpg": "photo"}
    assert (tmp_path / "folder").is_dir()


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127])
def test_a_name_as_long_as_a_name_may_be_is_written(tmp_path, name, dead_pid):
    write_text(tmp_path / name, "text")
    write_text(tmp_path / name, "again")
    assert contents(tmp_path) == {name: "again"}


def test_a_folder_that_cannot_be_listed_is_an_error_not_an_empty_one(tmp_path, monkeypatch):
    for name in ("a/x", "b/y", "z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to("a")
    found = {path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)}
    assert found == {"a/x", "b/y", "z"}
    scandir = os.scandir

    def closed(path):
        if Path(path) == tmp_path / "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", closed)
    with pytest.raises(PermissionError):
        sha256_of(tmp_path)


def test_the_current_folder_is_no_target():
    with pytest.raises(ArtifactError, match=r"\.: a folder that holds others' files"), atomic_path(Path()):
        pass
