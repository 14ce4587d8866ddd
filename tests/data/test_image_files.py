import pytest

from pipeline.core.errors import DataError
from pipeline.data.image_files import find_images, images_in


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", ".c.png", "sub/d.webp", "sub/.hidden/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_images_of_a_folder(folder):
    assert names(images_in(folder, below=False), folder) == ["a.PNG", "b.jpg"]
    assert names(images_in(folder, below=True), folder) == ["a.PNG", "b.jpg", "sub/d.webp"]


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
        find_images([str(folder / name) for name in ("b.jpg", "none.jpg", "empty", "*.gif")])
    first, second, third = (
        str(caught.value).split("; check the path; ")[0],
        "no image file directly",
        "matches no image",
    )
    assert first == f"{folder}/none.jpg: no such file or folder"
    assert second in str(caught.value)
    assert third in str(caught.value)
    assert "b.jpg" not in str(caught.value)
