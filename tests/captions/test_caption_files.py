from __future__ import annotations

import json

import pytest

from pipeline.captions.caption_files import ImageCaption, read_captions
from pipeline.core.errors import DataError

TWO = [ImageCaption("a.jpg", "a man, riding"), ImageCaption("a.jpg", "ein Café")]


def test_both_forms_hold_the_same(tmp_path):
    table, coco = tmp_path / "c.csv", tmp_path / "c.json"
    table.write_text('caption,image,author\n"a man, riding",a.jpg,x\nein Café,a.jpg,y\n', encoding="utf-8")
    annotations = [{"image_id": 7, "id": 1, "caption": TWO[0].text}, {"image_id": 7, "caption": TWO[1].text}]
    coco.write_text(json.dumps({"info": {}, "images": [{"id": 7, "file_name": "a.jpg"}], "annotations": annotations}))
    assert read_captions(table) == read_captions(coco) == TWO


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.csv", b"image,caption\na.jpg,caf\xe9\n", r"c\.csv line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (
            "c.csv",
            b"file,text\n",
            r'line 1: no column "image" in "file,text"; line 1 must be image,caption, and others',
        ),
        ("c.csv", b"image,caption\n", "has no captions; expected a row per caption: image,caption"),
        ("c.csv", b"image,caption\n,text\n", "line 2: names no image"),
        ("c.csv", b"image,caption\na.jpg,one,two\n", 'line 2: 3 cells, expected 2 .*"quotes"'),
        ("c.json", b'{"images": [], "categories": [], "annotations": [{"image_id": 1}]}', "not COCO captions"),
        ("c.json", b'{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1}]}', "no 'caption'"),
        ("c.json", b'[["a.jpg", "text"]]', r"not COCO captions \(a list\); expected"),
        ("c.json", b'{"annotations": []}', "no 'images'"),
        ("c.json", b'\xff\xfe{"images', "not a text file; expected JSON"),
        ("c.json", b'{"images": [', "not JSON, at line 1"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_captions(path)


@pytest.mark.parametrize("name", ["none.csv", "none.json"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(DataError, match=rf"{name}: cannot be read \(No such file or directory\)"):
        read_captions(tmp_path / name)
