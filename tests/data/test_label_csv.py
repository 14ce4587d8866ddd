"""labels.csv: what it may say, and one line with file and line number for everything that it may not."""

import re
from pathlib import Path

import pytest

from pipeline.core.errors import DataError
from pipeline.data.label_csv import read_label_csv

HEAD = "image,verb,object\n"


@pytest.fixture
def read(tmp_path):
    def run(content):
        path = tmp_path / "labels.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_label_csv(path)

    return run


def test_rows_of_an_image_are_joined(read):
    images = read(HEAD + "a.jpg,ride,horse\nb.jpg,hold,cup\na.jpg,feed,horse\n")
    assert list(images) == ["a.jpg", "b.jpg"]
    assert images["a.jpg"].pairs == {("ride", "horse"): 2, ("feed", "horse"): 4}
    assert (images["b.jpg"].line, images["b.jpg"].split) == (3, None)


def test_spelling_is_evened_out(read):
    """BOM and line ends of spreadsheet programs, blank lines, spaces, capitals, columns in another order."""
    images = read("\ufeffObject, Image ,VERB,split\r\n Hot Dog ,./a b.jpg,Sit On,Train\r\n\r\n,,,\r\n".encode())
    assert {name: (image.pairs, image.split) for name, image in images.items()} == {
        "a b.jpg": ({("sit_on", "hot_dog"): 2}, "train")
    }


def test_quoted_names_and_images_without_interaction(read):
    images = read(HEAD + '"a, b.jpg",ride,horse\nc.jpg,,\n')
    assert images["a, b.jpg"].pairs == {("ride", "horse"): 2}
    assert images["c.jpg"].pairs == {("", ""): 3}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", 'labels.csv line 1: no column "image" in ""'),
        (HEAD, "labels.csv: has no rows"),
        (HEAD + "\n,,\n", "labels.csv: has no rows"),
        ("image,verb\na.jpg,ride\n", 'labels.csv line 1: no column "object" in "image,verb"'),
        ("image;verb;object\na;b;c\n", 'no column "image" in "image;verb;object"; line 1 must be image,verb,object'),
        ("image,verb,object,splt\na,b,c,val\n", 'line 1: unknown column "splt", did you mean "split"?'),
        ("image,verb,object,verb\na,b,c,d\n", 'line 1: column "verb" occurs twice'),
        (HEAD + "a.jpg,ride,horse\na.jpg,ride\n", "labels.csv line 3: 2 cells, expected 3"),
        (HEAD + "a.jpg,ride,horse,b\n", "labels.csv line 2: 4 cells, expected 3"),
        (HEAD + 'a.jpg,"ride,horse\n', "not CSV"),
        (HEAD + "a.jpg,ride,horse\nb.jpg,f\xfcttern,horse\n", None),
        (HEAD + ",ride,horse\n", "labels.csv line 2: names no image"),
        (HEAD + "a.jpg,ride,\n", 'labels.csv line 2: verb "ride" without object'),
        (HEAD + "a.jpg,,horse\n", 'labels.csv line 2: object "horse" without verb'),
        (HEAD + "../a.jpg,ride,horse\n", 'labels.csv line 2: path "../a.jpg" leaves the folder'),
        (HEAD + "x/../../a.jpg,ride,horse\n", "leaves the folder"),
        (HEAD + "/etc/a.jpg,ride,horse\n", 'path "/etc/a.jpg" leaves the folder'),
        (HEAD + "a,ride,horse\nb,ride,dog\na,Ride,horse\n", 'line 4: "ride horse" of "a" stands in line 2 already'),
        (HEAD + "a,,\nb,,\na,,\n", 'line 4: no interaction of "a" stands in line 2 already'),
        (HEAD + "a,ride,horse\na,,\n", 'line 3: "a" has an interaction and is also said to have none (line 2)'),
        (HEAD + "a,,\na,ride,horse\n", 'line 3: "a" has an interaction and is also said to have none'),
        ("image,verb,object,split\na,ride,horse,trian\n", 'split is "trian", did you mean "train"?'),
        ("image,verb,object,split\na,ride,horse,\n", 'line 2: split is ""; expected train, val, test'),
        ("image,verb,object,split\na,b,c,val\na,c,d,test\n", 'line 3: "a" is in split test, line 2 says val'),
    ],
)
def test_a_bad_csv_is_one_line(read, content, expected):
    if expected is None:  # Latin-1, as a spreadsheet program may save it
        content, expected = content.encode("latin-1"), "labels.csv line 3: byte 0xfc is not UTF-8"
    with pytest.raises(DataError, match=re.escape(expected)) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read .No such file.*image,verb,object"):
        read_label_csv(tmp_path / "labels.csv")


def test_the_readme_shows_what_is_read(read):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = next(text for text in readme.split("```") if text.startswith("csv\nimage,verb,object"))
    images = read(block.removeprefix("csv\n"))
    assert {name: set(image.pairs) for name, image in images.items()} == {
        "beach/001.jpg": {("ride", "horse"), ("sit_on", "horse")},
        "beach/002.jpg": {("", "")},
    }
