from __future__ import annotations

import json

import pytest

from pipeline.core.errors import DataError
from pipeline.store import json_file
from pipeline.store.json_file import list_entries

ENTRIES = [{"a": [1, {"b": "]},["}], "ü": 'x"\\'}, 12345, "text", [], [[2]], None, -1.5e-3]


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
@pytest.mark.parametrize("indent", [None, 1])
def test_entries_are_those_of_the_whole_wherever_pieces_end(tmp_path, monkeypatch, piece, indent):
    monkeypatch.setattr(json_file, "_PIECE", piece)
    path = tmp_path / "x.json"
    for entries in (ENTRIES, ENTRIES[:1], []):
        path.write_text(f" \n{json.dumps(entries, indent=indent)}\n ")
        assert list(list_entries(path, "results", "numbers")) == entries


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "not JSON, at line 1 column 6"),
        ("[1, 2] 3", "not JSON, at line 1 column 8"),
        ("[1 2]", "not JSON, at line 1 column 4"),
        ("[1,]", "not JSON"),
        ("[[1]", "not JSON"),
        ("[]]", "not JSON"),
        ("", "an empty file"),
        ('{"a": 1}', "not results; expected a list of numbers"),
        ("7", "not results; expected a list of numbers"),
    ],
)
def test_other_files_are_refused_as_ever(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(json_file, "_PIECE", 2)
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=message):
        list(list_entries(tmp_path / "x.json", "results", "numbers"))
