import json
import os
from pathlib import Path

import pytest

from pipeline.core.errors import ArtifactError, DataError
from pipeline.store.targets import check_json_target, check_target


def test_what_could_not_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    check_target(tmp_path / "new folder" / "out.json")
    with pytest.raises(ArtifactError, match=r"cannot be written \(File name too long\)"):
        check_target(tmp_path / ("x" * 256))
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"out: cannot be written \(Not a directory\)"):
        check_target(tmp_path / "file" / "out")
    monkeypatch.setattr("pipeline.store.files.os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(ArtifactError, match=rf"out: cannot be written \({tmp_path} is closed to you, or read-only\)"):
        check_target(tmp_path / "folder" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_replaced_is_refused_before_the_work_a_pipe_is_written_into(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    check_target(tmp_path / "pipe")
    with (tmp_path / "open").open("w") as stream, pytest.raises(ArtifactError, match="a link to an open file"):
        check_target(Path(f"/proc/self/fd/{stream.fileno()}"))


KEYS = (("a", "b"), ("c",))


def check(path):
    check_json_target(path, *KEYS, what="scores", option="--output")


@pytest.mark.parametrize("data", [{"a": 1, "b": 2}, {"a": 1, "b": 2, "more": 3}, {"c": 1}])
def test_earlier_outputs_may_be_replaced(tmp_path, data):
    check(tmp_path / "new.json")
    (tmp_path / "old.json").write_text(json.dumps(data))
    check(tmp_path / "old.json")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"a": 1}', '{"a": 1, "b":', "\x89PNG"])
def test_other_files_are_not(tmp_path, text):
    (tmp_path / "file").write_text(text)
    with pytest.raises(DataError, match=r"file: is there already and holds no scores; .* another path for --output"):
        check(tmp_path / "file")
