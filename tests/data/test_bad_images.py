"""The table of image files (tests/bad_images.py) through whoever opens images: read right, or one clear line."""

from __future__ import annotations

import dataclasses
import os
import threading
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from pipeline.core.errors import DataError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.data.bags import BagDataset
from pipeline.data.images import open_image, open_split_image
from pipeline.data.split import SplitManifest
from pipeline.store.files import sha256_of
from pipeline.truth.datasets.folder import FolderReader
from pipeline.truth.params import PrepareParams
from tests.bad_images import COLORS, LOSSY, READ, REFUSED, UNUSABLE, png_bytes, png_chunk
from tests.small_split import random_proposals

BAD = REFUSED | {name: (write, "sides of 8 or more, and none 50 times the other") for name, write in UNUSABLE.items()}


@pytest.mark.parametrize("name", READ)
def test_what_is_read_is_right(tmp_path, name):
    write, expected = READ[name]
    write(tmp_path / name)
    tolerance = LOSSY if name.endswith((".jpg", ".mpo")) else 0
    for upright in [True] if name.startswith("orientation") else [True, False]:
        image = open_image(tmp_path / name, upright=upright)
        assert (image.mode, np.asarray(image).shape) == ("RGB", expected.shape)
        assert np.abs(np.asarray(image, np.int16) - expected).max() <= tolerance


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_with_the_reason_and_a_remedy(tmp_path, name):
    write, reason = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(DataError) as caught:
        open_image(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ")
    assert reason in message
    assert "; " in message  # what to do
    assert "\n" not in message


@pytest.mark.parametrize("name", [name for name in REFUSED if "bomb" in name])
def test_a_bomb_is_refused_before_memory_is_taken(tmp_path, monkeypatch, name):
    def load(self):
        raise AssertionError("decoded")

    REFUSED[name][0](tmp_path / name)
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(DataError, match="too large"):
        open_image(tmp_path / name)


def test_a_file_that_may_not_be_read(tmp_path):
    """Root may read everything, so another user tries."""
    path = tmp_path / "x.png"
    Image.fromarray(COLORS).save(path)
    path.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(DataError, match=r"x.png: image cannot be read \(Permission denied\); check its perm"):
            open_image(path)
    finally:
        os.seteuid(user)


def test_threads_decode_and_refuse_at_once(tmp_path):
    """Filters of warnings belong to the process: no thread may lose its own to another's."""
    names = ["bomb, warned of.png", "palette with alpha.png", "rgb.jpg"]
    for name in names:
        (REFUSED | READ)[name][0](tmp_path / name)
    found: list[str] = []

    def work(name):
        for _ in range(20):
            try:
                found.append(f"{name}: {open_image(tmp_path / name).size}")
            except DataError as error:
                found.append(f"{name}: {error}")

    threads = [threading.Thread(target=work, args=[name]) for name in names * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 120
    assert len(set(found)) == 3
    assert sum("too large" in line for line in found) == 40


# Through the stages' readers


def own_folder(folder, names, write):
    """A folder of images with labels.csv, in which every image shows an interaction."""
    folder.mkdir()
    rows = ["image,verb,object"]
    for name in names:
        write(name, folder / name)
        rows.append(f'"{name}",hold,cup')
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def prepared(folder, tmp_path):
    params = PrepareParams("folder", "own", None, None, None, val_fraction=None, seed=0)
    reader = FolderReader(params, dataset="own", root=folder.parent)
    (tmp_path / "drawn").mkdir(exist_ok=True)
    return reader.read(tmp_path / "drawn", lambda: None)[0].manifest


def test_prepare_records_what_is_read(tmp_path):
    folder = own_folder(tmp_path / "own", READ, lambda name, path: READ[name][0](path))
    manifest = prepared(folder, tmp_path)
    assert sorted(manifest.image_ids) == sorted(READ)
    for index, record in enumerate(manifest.images):
        assert (record.height, record.width) == READ[record.path][1].shape[:2]
        assert open_split_image(manifest, index, tmp_path).size == (record.width, record.height)


@pytest.mark.parametrize("name", BAD)
def test_prepare_names_file_and_line(tmp_path, name):
    files = {"good.png": READ["rgb.png"][0], name: BAD[name][0]}
    folder = own_folder(tmp_path / "own", files, lambda each, path: files[each](path))
    with pytest.raises(DataError) as caught:
        prepared(folder, tmp_path)
    assert str(caught.value).startswith(f"1 of 2 images are unusable: {folder}/labels.csv line 3: {folder / name}: ")
    assert BAD[name][1] in str(caught.value)


def recorded(root, vocabulary, path, size):
    """Manifest and bags of one image, as if `prepare` had recorded it."""
    digest = sha256_of(path) if path.is_file() else "0" * 64
    record, labels = ImageRecord("x", path.name, *size, digest), ImageLabels("x", np.array([0]))
    manifest = SplitManifest("tiny", "train", "images", (record,), (labels,))
    bags = BagDataset(
        manifest=manifest, proposals=random_proposals(manifest, vocabulary, [3]),
        labels=manifest.label_rows(vocabulary.num_hois), root=root, image_side=64, max_proposals=10,
    )  # fmt: skip
    return manifest, bags


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


@pytest.mark.parametrize("name", BAD)
def test_detect_and_train_refuse_what_prepare_would(tmp_path, vocabulary, images, name):
    write, reason = BAD[name]
    write(images / name)
    size = open_image(images / name).size if name in UNUSABLE else (32, 24)
    manifest, bags = recorded(tmp_path, vocabulary, images / name, size)
    for read in (lambda: open_split_image(manifest, 0, tmp_path), lambda: bags[0]):
        with pytest.raises(DataError) as caught:
            read()
        assert str(caught.value).startswith(f"{images / name}: ")
        assert reason in str(caught.value)


def test_names_that_are_not_utf_8_can_stand_in_no_table(tmp_path):
    folder = own_folder(tmp_path / "own", ["a.png"], lambda name, path: READ["rgb.png"][0](path))
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes((folder / "a.png").read_bytes())
    with pytest.raises(DataError, match=r'the file name "caf\ufffd\.png" is not UTF-8; rename it'):
        prepared(folder, tmp_path)


# Only the recorded image is read


@pytest.fixture
def split(tmp_path):
    folder = own_folder(tmp_path / "own", ["a.png", "b.png"], lambda name, path: READ["rgb.png"][0](path))
    return prepared(folder, tmp_path)


def test_an_image_that_changed_since_prepare(tmp_path, split):
    path = tmp_path / "own/b.png"
    Image.fromarray(COLORS[::-1]).save(path)
    with pytest.raises(DataError) as caught:
        open_split_image(split, 1, tmp_path)
    expected = split.images[1].sha256
    assert str(caught.value) == (
        f"{path}: image has changed (sha256 {sha256_of(path)[:12]}, the manifest says {expected[:12]}); "
        "restore it or run prepare again"
    )


def test_links_may_lead_outside_to_the_recorded_image_and_to_no_other(tmp_path, split):
    """DVC's cache is linked like this. A stranger's manifest must not make private images be read."""
    path, cache = tmp_path / "own/b.png", tmp_path / "elsewhere"
    path.rename(cache)
    path.symlink_to(cache)
    assert open_split_image(split, 1, tmp_path).size == (32, 24)
    private = tmp_path / "private.png"
    Image.fromarray(COLORS[::-1]).save(private)
    path.unlink()
    path.symlink_to(private)
    with pytest.raises(DataError, match=r"own/b.png: image has changed \(sha256"):
        open_split_image(split, 1, tmp_path)


def test_a_manifest_that_gives_another_size(tmp_path, split):
    records = (dataclasses.replace(split.images[0], width=33), split.images[1])
    with pytest.raises(DataError, match=r"image is \(32, 24\) pixels .*, the manifest says \(33, 24\); run prepare"):
        open_split_image(dataclasses.replace(split, images=records), 0, tmp_path)


def test_a_wide_image_fits_the_network(tmp_path, vocabulary, images):
    READ["20,000 pixels wide.jpg"][0](images / "x.jpg")
    _, bags = recorded(tmp_path, vocabulary, images / "x.jpg", (20_000, 400))
    assert bags[0].pixels.shape == (3, 64, 64)
    assert torch.equal(bags[0].pixels[:, 0, 0], bags[0].pixels[:, 63, 63])


def test_png_text_that_unpacks_to_gigabytes(tmp_path):
    """The image is small; a compressed comment is the bomb."""
    bomb = png_chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(80 << 20)))
    data = png_bytes(32, 24, depth=8, color=0, rows=bytes(33 * 24))
    (tmp_path / "x.png").write_bytes(data[:33] + bomb + data[33:])
    with pytest.raises(DataError, match=r"x.png: image cannot be decoded \("):
        open_image(tmp_path / "x.png")
