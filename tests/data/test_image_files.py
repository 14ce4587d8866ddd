import os
import unicodedata

import pytest

from pipeline.core.errors import DataError
from pipeline.data.image_files import find_images, image_names, images_in


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", ".c.png", "sub/d.webp", "sub/.hidden/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_images_of_a_folder(folder):
    assert names(images_in(folder), folder) == ["a.PNG", "b.jpg"]
    assert sorted(image_names(folder)) == ["a.PNG", "b.jpg", "sub/d.webp"]


def test_files_folders_and_patterns_in_the_order_given_each_once(folder):
    given = [folder / "b.jpg", folder, f"{folder}/**/*.webp", folder / "sub" / ".." / "b.jpg", folder / "notes.txt"]
    found = find_images([str(argument) for argument in given])
    assert names(found, folder) == ["b.jpg", "a.PNG", "sub/d.webp", "notes.txt"]


def test_a_file_whose_name_looks_like_a_pattern(folder):
    (folder / "x[1].png").write_text("")
    assert names(find_images([str(folder / "x[1].png")]), folder) == ["x[1].png"]


def test_everything_that_is_not_there_is_named(folder):
    (folder / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        find_images([str(folder / name) for name in ("b.jpg", "missing.tiff", "empty", "*.gif")])
    assert str(caught.value).split("; check the path; ")[0] == f"{folder}/missing.tiff: no such file or folder"
    assert "no image file directly" in str(caught.value)
    assert "matches no image" in str(caught.value)
    assert "b.jpg" not in str(caught.value)


@pytest.mark.parametrize("below", [False, True])
def test_kinds_of_image_that_cannot_be_read_are_found_so_that_somebody_says_so(folder, below):
    for name in ("phone.HEIC", "web.avif", "scan.jfif", "stereo.mpo"):
        (folder / name).write_text("")
    found = image_names(folder) if below else names(images_in(folder), folder)
    assert {"phone.HEIC", "web.avif", "scan.jfif", "stereo.mpo"} <= set(found)
    assert names(find_images([f"{folder}/*.avif"]), folder) == ["web.avif"]


def test_an_argument_longer_than_a_name_may_be_is_one_line(folder):
    for argument in ("x" * 300 + ".jpg", "/".join(["x" * 250] * 20)):
        with pytest.raises(DataError, match=r"^x+.*: File name too long; check the path$"):
            find_images([argument])
    many = "[ab]" * 100 + "*"
    with pytest.raises(DataError, match="the pattern matches no image file"):
        find_images([f"{folder}/{many}"])


def test_a_name_in_another_unicode_form_or_case_is_told(folder):
    stored = unicodedata.normalize("NFD", "é.jpg")
    (folder / stored).write_text("")
    with pytest.raises(DataError, match="did you mean the same letters in Unicode form NFD"):
        find_images([str(folder / "é.jpg")])
    with pytest.raises(DataError, match=r'did you mean "a\.PNG"\?'):
        find_images([str(folder / "a.png")])


def test_a_folder_that_may_not_be_read_is_named_with_the_others(folder, monkeypatch):
    """Root may read everything, so the system's answer is given here."""
    closed, listed = folder / "sub", os.listdir

    def listdir(path):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr("os.listdir", listdir)
    with pytest.raises(
        DataError, match=r"sub: cannot be read \(Permission denied\); check its perm.*none: no such file"
    ):
        find_images([str(closed), str(folder / "none")])
