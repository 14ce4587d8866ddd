"""What `weakhoi predict` reads and writes, as far as it is settled before any model is opened: nothing is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.prediction.picture import PictureFolder
from tests.conftest import ROOT
from tests.roots import refused, weakhoi


@pytest.fixture
def folder(tmp_path) -> Path:
    """A user's photos, one of them named as a drawn picture would be."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, name in enumerate(("a.jpg", "a-hoi.jpg", "b.png")):
        Image.new("RGB", (20 + index, 20)).save(photos / name)
    return photos


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def not_predicted(root: Path, *call: str | Path) -> str:
    return refused(root, "predict", *map(str, call))


def test_drawing_into_the_folder_of_the_images_replaces_none_of_them(folder, tmp_path):
    before = contents(folder)
    assert "photos/a-hoi.jpg: is there already and no picture that predict drew" in not_predicted(
        tmp_path, folder, "--draw", folder
    )
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["a.jpg", "labels.json"])
def test_json_over_a_file_of_the_users(folder, tmp_path, name):
    (folder / "labels.json").write_text(json.dumps({"images": []}))
    before = contents(folder)
    assert f"photos/{name}: is there already and holds no predictions" in not_predicted(
        tmp_path, folder / "b.png", "--json", folder / name
    )
    assert contents(folder) == before


def test_json_over_a_picture_of_the_same_call(folder, tmp_path):
    target = tmp_path / "drawn" / "b-hoi.jpg"
    line = not_predicted(tmp_path, folder / "b.png", "--draw", tmp_path / "drawn", "--json", target)
    assert f"--json {target}: a picture of --draw gets that name" in line


def test_pictures_that_were_drawn_are_no_images(folder, tmp_path):
    pictures = PictureFolder(folder, [folder / "b.png"])
    pictures.save(folder / "b.png", Image.new("RGB", (30, 30)))
    done = weakhoi(tmp_path, "predict", str(folder), "--draw", str(tmp_path / "drawn"), "--variant", "baseline")
    left, missing = done.stderr.strip().splitlines()
    assert left == f"Left out: 1 pictures that predict drew, first {folder}/b-hoi.jpg"
    assert missing.startswith(f"Error: {tmp_path}/params.yaml does not exist")  # the first that the model needs
    assert '"toyworld/baseline" does not come with weakhoi' in missing
    line = not_predicted(tmp_path, folder / "b-hoi.jpg")
    assert "nothing to predict on but 1 pictures that predict drew" in line


def test_a_target_that_cannot_be_written_is_refused_before_the_work(folder, tmp_path):
    assert "File name too long" in not_predicted(tmp_path, folder / "b.png", "--json", tmp_path / ("x" * 300))
    assert "Not a directory" in not_predicted(tmp_path, folder / "b.png", "--json", folder / "b.png" / "out.json")
    assert "Not a directory" in not_predicted(tmp_path, folder / "b.png", "--draw", folder / "b.png" / "drawn")


def test_an_argument_longer_than_a_name_may_be(tmp_path):
    assert ": File name too long; check the path" in not_predicted(tmp_path, "x" * 5000)


def test_a_name_with_terminal_escapes_is_shown_and_not_obeyed(tmp_path):
    line = not_predicted(tmp_path, "\x1b]0;title\x07\x1b[2J.jpg")
    assert "\\x1b]0;title\\x07\\x1b[2J.jpg: " in line


def test_links_inside_a_checkpoint_of_unknown_origin_are_refused(folder, tmp_path):
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    (tmp_path / "private").write_text("private")
    checkpoint = tmp_path / "model"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    (checkpoint / "model.safetensors").symlink_to("../private")
    line = not_predicted(tmp_path, folder / "b.png", "--checkpoint", checkpoint)
    assert "model/model.safetensors: a link that leads elsewhere; expected plain files only" in line
    cached = tmp_path / "cache/toyworld/seeds/checkpoints/ours-3"
    shutil.copytree(checkpoint, cached, symlinks=True)
    assert "ours-3/model.safetensors: a link that leads elsewhere" in not_predicted(
        tmp_path, folder / "b.png", "--checkpoint", cached
    )
